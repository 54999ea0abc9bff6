/*
name: attribution_first_touch
title: Campaign attribution, first touch
description: >-
  Every conversion belongs to the person's first exposure, when that is not after it. The publisher
  numbers the exposures of a person from 1 (in its own warehouse: ROW_NUMBER() OVER (PARTITION BY
  person ORDER BY day, id)).
parameters:
  exposures: { type: table, default: exposures, about: "the publisher's table, a row an exposure" }
  exposures_unit: { type: unit, table: exposures }
  campaign: { type: column, table: exposures, kinds: [text, integer, boolean], default: campaign_id, about: what credit goes to }
  exposed_on: { type: column, table: exposures, kinds: [date], default: exposure_date, about: day of the exposure }
  number: { type: column, table: exposures, kinds: [integer], default: exposure_number, about: "1 at a person's first exposure" }
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
WHERE x.:number = 1
  AND c.:converted_on BETWEEN :from AND :to
  AND c.:converted_on - x.:exposed_on BETWEEN 0 AND :window_days
GROUP BY x.:campaign
