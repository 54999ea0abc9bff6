/*
name: attribution_last_touch
title: Campaign attribution, last touch
description: >-
  Every conversion belongs to the person's last exposure on or before its day. No company sees the
  other's days, so the publisher says of each exposure when that person's next one was (in its own
  warehouse: LEAD(day) OVER (PARTITION BY person ORDER BY day, id)); an exposure is the last touch of
  a conversion when it is not after it and the next one is.
parameters:
  exposures: { type: table, default: exposures, about: "the publisher's table, a row an exposure" }
  exposures_unit: { type: unit, table: exposures }
  campaign: { type: column, table: exposures, kinds: [text, integer, boolean], default: campaign_id, about: what credit goes to }
  exposed_on: { type: column, table: exposures, kinds: [date], default: exposure_date, about: day of the exposure }
  next_on: { type: column, table: exposures, kinds: [date], default: next_exposure_date, about: "day of the person's next exposure, NULL at the last" }
  conversions: { type: table, default: purchases, about: "the advertiser's table, a row a conversion" }
  conversions_unit: { type: unit, table: conversions }
  converted_on: { type: column, table: conversions, kinds: [date], default: purchase_date, about: day of the conversion }
  value: { type: column, table: conversions, kinds: [decimal, integer], default: total_spent, about: what a conversion is worth }
  from: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2025-01-01', about: first day of conversions }
  window_days: { type: integer, min: '0', max: '3650', default: '365', about: most days from the exposure to the conversion }
  to: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2026-12-31', about: last day of conversions }
*/
SELECT x.:campaign AS campaign,
  COUNT(DISTINCT x.:exposures_unit) AS converters,
  COUNT(*) AS conversions,
  SUM(c.:value) AS value
FROM :exposures x
JOIN :conversions c ON x.:exposures_unit = c.:conversions_unit
WHERE c.:converted_on BETWEEN :from AND :to
  AND c.:converted_on - x.:exposed_on BETWEEN 0 AND :window_days
  AND (x.:next_on IS NULL OR x.:next_on > c.:converted_on)
GROUP BY x.:campaign
