/*
name: audience_overlap_three
title: Audience overlap of three companies
description: How many people are in all three tables.
parameters:
  first: { type: table, default: purchases, about: table of the first company }
  first_unit: { type: unit, table: first }
  second: { type: table, default: exposures, about: table of the second company }
  second_unit: { type: unit, table: second }
  third: { type: table, default: members, about: table of the third company }
  third_unit: { type: unit, table: third }
*/
SELECT COUNT(DISTINCT f.:first_unit) AS people
FROM :first f
JOIN :second s ON f.:first_unit = s.:second_unit
JOIN :third t ON f.:first_unit = t.:third_unit
