/*
name: conversion_by_arm
title: Converters of the exposed and of the control group
description: >-
  How many people of each arm of an experiment converted, and what their conversions were worth. Whoever
  drew the arms knows how many people are in each; conversion_lift counts them too.
parameters:
  arms: { type: table, default: assignments, about: "who is in which arm, one row a person" }
  arms_unit: { type: unit, table: arms }
  arm: { type: column, table: arms, kinds: [text, integer, boolean], default: arm, about: the arm }
  conversions: { type: table, default: purchases, about: "the advertiser's table, a row a conversion" }
  conversions_unit: { type: unit, table: conversions }
  converted_on: { type: column, table: conversions, kinds: [date], default: purchase_date, about: day of the conversion }
  value: { type: column, table: conversions, kinds: [decimal, integer], default: total_spent, about: what a conversion is worth }
  from: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2025-01-01', about: first day of conversions }
  to: { type: date, min: '2000-01-01', max: '2099-12-31', default: '2026-12-31', about: last day of conversions }
*/
SELECT a.:arm AS arm,
  COUNT(DISTINCT a.:arms_unit) AS converters,
  SUM(c.:value) AS value
FROM :arms a
JOIN :conversions c ON a.:arms_unit = c.:conversions_unit
WHERE c.:converted_on BETWEEN :from AND :to
GROUP BY a.:arm
