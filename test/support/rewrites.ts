/** One question over `roomPolicy`, in 20 other ways of writing it, and 20 that ask something else. */
export const QUESTION = `SELECT campaign_id, category, COUNT(DISTINCT hashed_email) AS users,
  SUM(total_spent) AS spent FROM joined_data
  WHERE exposure_date < purchase_date AND total_spent > 100.00 AND online = TRUE
  GROUP BY campaign_id, category`;

const WHERE = `exposure_date < purchase_date AND total_spent > 100.00 AND online = TRUE`;
const question = (parts: {
  readonly select?: string;
  readonly from?: string;
  readonly where?: string;
  readonly groupBy?: string;
  readonly tail?: string;
}): string =>
  `SELECT ${parts.select ?? 'campaign_id, category, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent'}
  FROM ${parts.from ?? 'joined_data'} WHERE ${parts.where ?? WHERE}
  GROUP BY ${parts.groupBy ?? 'campaign_id, category'} ${parts.tail ?? ''}`;

const JOINED = `p.category, COUNT(DISTINCT p.email) AS users, SUM(p.total_spent) AS spent`;

export const REWRITES: readonly (readonly [string, string])[] = [
  ['white space', QUESTION.replaceAll(/\s+/g, '   \n ')],
  ['a comment', `-- the autumn campaign\n${QUESTION} /* all of it */`],
  ['keywords in lower case', QUESTION.replaceAll(/[A-Z]{2,}/g, (word) => word.toLowerCase())],
  ['quoted names', QUESTION.replaceAll(/\b(campaign_id|category|joined_data)\b/g, '"$1"')],
  ['names in upper case', QUESTION.replaceAll('campaign_id', 'CAMPAIGN_ID')],
  [
    'other aliases',
    question({
      select: 'campaign_id c, category AS k, COUNT(DISTINCT hashed_email) n, SUM(total_spent) s',
    }),
  ],
  [
    'no aliases',
    question({ select: 'campaign_id, category, COUNT(DISTINCT hashed_email), SUM(total_spent)' }),
  ],
  [
    'columns in another order',
    question({
      select:
        'SUM(total_spent) AS spent, category, COUNT(DISTINCT hashed_email) AS users, campaign_id',
    }),
  ],
  [
    'a key left out of SELECT',
    question({
      select: 'category, SUM(total_spent) AS spent, COUNT(DISTINCT hashed_email) AS users',
    }),
  ],
  ['keys in another order', question({ groupBy: 'category, campaign_id' })],
  [
    'conjuncts in another order',
    question({ where: 'online = TRUE AND total_spent > 100.00 AND exposure_date < purchase_date' }),
  ],
  ['a conjunct twice', question({ where: `${WHERE} AND total_spent > 100.00` })],
  [
    'more parentheses',
    question({
      where: '((exposure_date < purchase_date)) AND (total_spent > 100.00 AND online = TRUE)',
    }),
  ],
  ['a literal written otherwise', question({ where: WHERE.replace('100.00', '100') })],
  ['a literal with more zeros', question({ where: WHERE.replace('100.00', '100.000') })],
  [
    'comparisons turned round',
    question({ where: 'purchase_date > exposure_date AND 100 < total_spent AND TRUE = online' }),
  ],
  ['a bare boolean', question({ where: WHERE.replace('online = TRUE', 'online') })],
  [
    'the join written out',
    question({
      select: `x.campaign_id, ${JOINED}`,
      from: 'purchases p JOIN exposures x ON p.email = x.email',
      where: 'x.exposure_date < p.purchase_date AND p.total_spent > 100.00 AND p.online = TRUE',
      groupBy: 'x.campaign_id, p.category',
    }),
  ],
  [
    'the join the other way round, USING',
    question({
      select: `exposures.campaign_id, ${JOINED}`,
      from: 'exposures JOIN purchases AS p USING (email)',
      where:
        'exposures.exposure_date < p.purchase_date AND p.total_spent > 100.00 AND p.online = TRUE',
      groupBy: 'exposures.campaign_id, p.category',
    }),
  ],
  [
    'sorted and cut by the client',
    question({ tail: 'HAVING COUNT(DISTINCT hashed_email) > 20 ORDER BY spent DESC LIMIT 3' }),
  ],
];

export const NEAR_MISSES: readonly (readonly [string, string])[] = [
  ['another literal', question({ where: WHERE.replace('100.00', '100.01') })],
  ['the bound included', question({ where: WHERE.replace('total_spent >', 'total_spent >=') })],
  [
    'dates the other way round',
    question({ where: WHERE.replace('exposure_date <', 'exposure_date >') }),
  ],
  ['dates included', question({ where: WHERE.replace('exposure_date <', 'exposure_date <=') })],
  [
    'a conjunct less',
    question({ where: 'exposure_date < purchase_date AND total_spent > 100.00' }),
  ],
  ['a conjunct more', question({ where: `${WHERE} AND items > 1` })],
  ['OR for AND', question({ where: WHERE.replace('AND online', 'OR online') })],
  ['the other truth value', question({ where: WHERE.replace('TRUE', 'FALSE') })],
  ['not', question({ where: WHERE.replace('online = TRUE', 'NOT (total_spent > 100.00)') })],
  ['another column compared', question({ where: WHERE.replace('total_spent', 'items') })],
  [
    'rows, not users',
    question({ select: 'campaign_id, category, COUNT(*) AS users, SUM(total_spent) AS spent' }),
  ],
  [
    'another column summed',
    question({
      select: 'campaign_id, category, COUNT(DISTINCT hashed_email) AS users, SUM(items) AS spent',
    }),
  ],
  [
    'an average',
    question({
      select: 'campaign_id, category, COUNT(DISTINCT hashed_email) AS users, AVG(items) AS spent',
    }),
  ],
  [
    'a measure less',
    question({ select: 'campaign_id, category, COUNT(DISTINCT hashed_email) AS users' }),
  ],
  [
    'a measure more',
    question({
      select:
        'campaign_id, category, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent, COUNT(*) AS rows',
    }),
  ],
  [
    'a key less',
    question({
      select: 'campaign_id, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent',
      groupBy: 'campaign_id',
    }),
  ],
  [
    'a key more',
    question({
      select:
        'campaign_id, category, online, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent) AS spent',
      groupBy: 'campaign_id, category, online',
    }),
  ],
  [
    'a product summed',
    question({
      select:
        'campaign_id, category, COUNT(DISTINCT hashed_email) AS users, SUM(total_spent * items) AS spent',
    }),
  ],
  [
    'an outer join',
    question({
      select: `x.campaign_id, ${JOINED}`,
      from: 'exposures x LEFT JOIN purchases p ON p.email = x.email',
      where: 'x.exposure_date < p.purchase_date OR p.total_spent > 100.00',
      groupBy: 'x.campaign_id, p.category',
    }),
  ],
  [
    'NULL as zero',
    question({ where: WHERE.replace('total_spent >', 'COALESCE(total_spent, 101) >') }),
  ],
];
