/*
name: conversion_lift
title: Conversion lift, exposed against control
description: >-
  For each arm of an experiment: people, people who converted, and the rate in per cent. The lift is
  the rate of the exposed over the rate of the control group, less one. Arms are drawn before anybody
  is exposed; without that, the difference says nothing about the campaign.
parameters:
  arms: { type: table, default: assignments, about: "who is in which arm, one row a person" }
  arms_unit: { type: unit, table: arms }
  arm: { type: column, table: arms, kinds: [text, integer, boolean], default: arm, about: the arm }
  conversions: { type: table, default: purchases, about: "the advertiser's table, a row a conversion" }
  conversions_unit: { type: unit, table: conversions }
  converted_on: { type: column, table: conversions, kinds: [date], default: purchase_date, about: day of the conversion }
  from: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2025-01-01', about: first day of conversions }
  to: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2026-12-31', about: last day of conversions }
*/
SELECT a.:arm AS arm,
  COUNT(DISTINCT a.:arms_unit) AS people,
  COUNT(DISTINCT a.:arms_unit) FILTER (WHERE c.:converted_on BETWEEN :from AND :to) AS converters,
  100.0 * COUNT(DISTINCT a.:arms_unit) FILTER (WHERE c.:converted_on BETWEEN :from AND :to)
    / COUNT(DISTINCT a.:arms_unit) AS rate_percent
FROM :arms a
LEFT JOIN :conversions c ON a.:arms_unit = c.:conversions_unit
GROUP BY a.:arm
