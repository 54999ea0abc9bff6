/*
name: frequency_distribution
title: People by how often they were reached
description: >-
  For each n, how many people of an audience had at least n exposures. The publisher numbers the
  exposures of a person from 1; that column declares its numbers as a domain. A person stands in as
  many groups as exposures, so max_partitions_contributed bounds how far up the numbers count.
parameters:
  exposures: { type: table, default: exposures, about: "the publisher's table, a row an exposure" }
  exposures_unit: { type: unit, table: exposures }
  number: { type: column, table: exposures, kinds: [integer], default: exposure_number, about: number of the exposure }
  audience: { type: table, default: members, about: "the other company's people" }
  audience_unit: { type: unit, table: audience }
*/
SELECT x.:number AS exposures_at_least, COUNT(DISTINCT x.:exposures_unit) AS people
FROM :exposures x
JOIN :audience a ON x.:exposures_unit = a.:audience_unit
GROUP BY x.:number
ORDER BY x.:number
