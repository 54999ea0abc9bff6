/*
name: customer_journey
title: Customer journeys over three companies
description: >-
  How many people went the whole way in this order: saw a campaign, then joined, then bought; by
  campaign and by a segment of the middle step. Steps may fall on the same day.
parameters:
  exposures: { type: table, default: exposures, about: "first step: the publisher's table" }
  exposures_unit: { type: unit, table: exposures }
  campaign: { type: column, table: exposures, kinds: [text, integer, boolean], default: campaign_id, about: the campaign }
  exposed_on: { type: column, table: exposures, kinds: [date], default: exposure_date, about: day of the first step }
  joins: { type: table, default: members, about: "second step: whom somebody joined or signed up with" }
  joins_unit: { type: unit, table: joins }
  segment: { type: column, table: joins, kinds: [text, integer, boolean], default: tier, about: segment of the second step }
  joined_on: { type: column, table: joins, kinds: [date], default: member_since, about: day of the second step }
  conversions: { type: table, default: purchases, about: "third step: the advertiser's table" }
  conversions_unit: { type: unit, table: conversions }
  converted_on: { type: column, table: conversions, kinds: [date], default: purchase_date, about: day of the third step }
*/
SELECT x.:campaign AS campaign, j.:segment AS segment,
  COUNT(DISTINCT x.:exposures_unit) AS people
FROM :exposures x
JOIN :joins j ON x.:exposures_unit = j.:joins_unit
JOIN :conversions c ON x.:exposures_unit = c.:conversions_unit
WHERE x.:exposed_on <= j.:joined_on
  AND j.:joined_on <= c.:converted_on
GROUP BY x.:campaign, j.:segment
