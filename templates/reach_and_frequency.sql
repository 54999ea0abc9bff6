/*
name: reach_and_frequency
title: Reach and frequency of campaigns in an audience
description: >-
  How many people of an audience a campaign reached, with how many impressions, and how often each
  on average. The audience holds one row a person (max_rows_per_user 1).
parameters:
  exposures: { type: table, default: exposures, about: "the publisher's table, a row an exposure" }
  exposures_unit: { type: unit, table: exposures }
  campaign: { type: column, table: exposures, kinds: [text, integer, boolean], default: campaign_id, about: the campaign }
  exposed_on: { type: column, table: exposures, kinds: [date], default: exposure_date, about: day of the exposure }
  audience: { type: table, default: members, about: "the other company's people, one row each" }
  audience_unit: { type: unit, table: audience }
  from: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2025-01-01', about: first day of exposures }
  to: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2026-12-31', about: last day of exposures }
*/
SELECT x.:campaign AS campaign,
  COUNT(DISTINCT x.:exposures_unit) AS reach,
  COUNT(*) AS impressions,
  1.0 * COUNT(*) / COUNT(DISTINCT x.:exposures_unit) AS frequency
FROM :exposures x
JOIN :audience a ON x.:exposures_unit = a.:audience_unit
WHERE x.:exposed_on BETWEEN :from AND :to
GROUP BY x.:campaign
