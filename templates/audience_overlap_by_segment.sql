/*
name: audience_overlap_by_segment
title: Audience overlap by a segment
description: >-
  How many people are in both tables, for each value of a segment column of the first. A person with
  rows in several segments counts in each of them, up to max_partitions_contributed.
parameters:
  left: { type: table, default: members, about: table with the segment }
  left_unit: { type: unit, table: left }
  segment: { type: column, table: left, kinds: [text, integer, boolean], default: tier, about: the segment }
  right: { type: table, default: exposures, about: table of the other company }
  right_unit: { type: unit, table: right }
*/
SELECT l.:segment AS segment, COUNT(DISTINCT l.:left_unit) AS people
FROM :left l
JOIN :right r ON l.:left_unit = r.:right_unit
GROUP BY l.:segment
ORDER BY people DESC
