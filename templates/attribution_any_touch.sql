/*
name: attribution_any_touch
title: Campaign attribution, any touch within a window
description: >-
  A campaign is credited with every person who converted within so many days of one of its
  exposures, the day itself included. A conversion counts once for each such exposure, so
  conversions and value are per touch; converters counts people.
parameters:
  exposures: { type: table, default: exposures, about: "the publisher's table, a row an exposure" }
  exposures_unit: { type: unit, table: exposures }
  campaign: { type: column, table: exposures, kinds: [text, integer, boolean], default: campaign_id, about: what credit goes to }
  exposed_on: { type: column, table: exposures, kinds: [date], default: exposure_date, about: day of the exposure }
  conversions: { type: table, default: purchases, about: "the advertiser's table, a row a conversion" }
  conversions_unit: { type: unit, table: conversions }
  converted_on: { type: column, table: conversions, kinds: [date], default: purchase_date, about: day of the conversion }
  value: { type: column, table: conversions, kinds: [decimal, integer], default: total_spent, about: what a conversion is worth }
  window_days: { type: integer, min: '0', max: '365', default: '14', about: days from exposure to conversion }
*/
SELECT x.:campaign AS campaign,
  COUNT(DISTINCT x.:exposures_unit) AS converters,
  COUNT(*) AS touched_conversions,
  SUM(c.:value) AS touched_value
FROM :exposures x
JOIN :conversions c ON x.:exposures_unit = c.:conversions_unit
WHERE c.:converted_on - x.:exposed_on BETWEEN 0 AND :window_days
GROUP BY x.:campaign
