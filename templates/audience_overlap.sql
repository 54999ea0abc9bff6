/*
name: audience_overlap
title: Audience overlap of two companies
description: >-
  How many people are in both tables. One number: what remains when no segment is asked for has the
  least noise.
parameters:
  left: { type: table, default: purchases, about: table of one company }
  left_unit: { type: unit, table: left }
  right: { type: table, default: exposures, about: table of the other company }
  right_unit: { type: unit, table: right }
*/
SELECT COUNT(DISTINCT l.:left_unit) AS people
FROM :left l
JOIN :right r ON l.:left_unit = r.:right_unit
