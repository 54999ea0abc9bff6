/**
 * The plan: everything about a query that the parties must agree on before they run it, as plain
 * JSON. Its RFC 8785 bytes under SHA-256 are the plan digest. Two nodes with the same signed policy
 * and the same SQL text derive the same plan byte for byte.
 *
 * Values inside a plan and inside the engine are integers: a date is days since 1970-01-01, a
 * decimal is scaled by 10^scale, text is its index in the declared domain, a boolean is 0 or 1.
 * All are below 2^53 in magnitude.
 */

/** Index into `Plan.sides`: 0 is the pivot (receiver of every join), from 1 on its senders. */
export type Side = number;

/** Comparison operators after normalisation. */
export type Comparison = '=' | '<>' | '<' | '<=' | '>' | '>=';

/** A predicate over one side's own rows, evaluated by its owner in clear (three-valued). */
export type LocalPredicate =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly LocalPredicate[] }
  | { readonly kind: 'not'; readonly term: LocalPredicate }
  | { readonly kind: 'compare'; readonly op: Comparison; readonly left: Term; readonly right: Term }
  | { readonly kind: 'in'; readonly term: Term; readonly list: readonly Literal[] }
  | { readonly kind: 'isNull'; readonly term: Term }
  | { readonly kind: 'constant'; readonly value: boolean | null };

/**
 * A value of one row of a side, an exact integer or NULL. Operators are NULL when an operand is,
 * but for `least`, `greatest` (which skip NULLs), `coalesce` and `case`.
 */
export type Term =
  /** A column of the side, times a power of ten. */
  | { readonly column: string; readonly scaleUp: number }
  | Literal
  | { readonly op: '+' | '-' | '*'; readonly left: Term; readonly right: Term }
  | { readonly op: 'least' | 'greatest' | 'coalesce'; readonly terms: readonly Term[] }
  | {
      readonly op: 'case';
      readonly branches: readonly { readonly when: LocalPredicate; readonly then: Term }[];
      readonly otherwise: Term;
    }
  /** Moved to the nearer bound. */
  | { readonly op: 'clamp'; readonly lower: string; readonly upper: string; readonly of: Term }
  /** Quotient and remainder of floor division by a positive integer. */
  | { readonly op: 'div' | 'mod'; readonly by: string; readonly of: Term }
  /** Of a date: a calendar field, or the first day of the period it is in. */
  | { readonly op: 'part'; readonly part: DatePart; readonly of: Term }
  | { readonly op: 'trunc'; readonly part: DatePeriod; readonly of: Term }
  /** The entry at the index that the operand is. */
  | { readonly op: 'map'; readonly table: readonly number[]; readonly of: Term }
  /**
   * Added up over a user's rows of one group, NULL as 0, by their owner before the join. Part of no
   * other term, and only where the side has `eagerRows`.
   */
  | { readonly op: 'total'; readonly of: Term }
  /** 1 on every row; NULL on the row that LEFT JOIN invents. */
  | { readonly op: 'present' };

export type DatePeriod = 'day' | 'week' | 'month' | 'quarter' | 'year';
export type DatePart = 'year' | 'quarter' | 'month' | 'week' | 'day' | 'dow' | 'isodow' | 'doy';

/**
 * An integer in coded units, as a decimal string; `null` is SQL NULL. Text literals outside the
 * declared domain are coded as indices that no value has, keeping the comparison's outcome.
 */
export interface Literal {
  readonly value: string | null;
}

/**
 * What remains of WHERE when every conjunct of one table has been pushed down: an AND/OR tree in
 * negation normal form whose leaves are bits a side evaluates locally per row ("is TRUE") or
 * comparisons across two sides. A combination of one row per side qualifies iff the tree is TRUE.
 */
export type PairPredicate =
  | { readonly kind: 'and' | 'or'; readonly terms: readonly PairPredicate[] }
  /** TRUE where the term is not: of a CASE branch that was not taken. Never in WHERE. */
  | { readonly kind: 'not'; readonly term: PairPredicate }
  /** Index into `sides[side].bits`. */
  | { readonly kind: 'bit'; readonly side: Side; readonly index: number }
  | PairComparison;

/**
 * `left op right`, TRUE only when both are non-NULL. Each side submits
 * `value · scaleUp − base`, an unsigned integer below 2^bits.
 */
export interface PairComparison {
  readonly kind: 'compare';
  readonly op: Comparison;
  /** Of the side with the smaller index. */
  readonly left: PairOperand;
  readonly right: PairOperand;
  readonly base: string;
  readonly bits: number;
}

/** `map`, when present, replaces the value (a domain index) by its index in the joint domain. */
export interface PairOperand {
  readonly side: Side;
  readonly column: string;
  readonly nullable: boolean;
  /** Power-of-ten factor that brings both sides to one scale; 1 for all but decimals. */
  readonly scaleUp: number;
  readonly map: readonly number[] | null;
}

/** One key of GROUP BY. Of a nullable one NULL is the last label. */
export type GroupKey = SideKey | MixedKey;

/** A column with a declared domain, or a derived one whose domain follows from declared ones. */
export interface SideKey {
  readonly side: Side;
  readonly column: string;
  readonly domain: readonly (string | null)[];
  /** Coded value of each non-NULL label where it is not its index (integers); null elsewhere. */
  readonly codes: readonly number[] | null;
  readonly type: ColumnTypeName;
}

/** A value over columns of several sides, which none of them knows: told label by label on shares. */
export interface MixedKey {
  readonly side: null;
  readonly domain: readonly (string | null)[];
  /** When a row has the label: the first that is TRUE counts. One is null: where no other is. */
  readonly labels: readonly (PairPredicate | null)[];
  readonly type: ColumnTypeName;
}

/** A quantity computed per group on shares: a sum over row combinations or over users. */
export type Measure =
  /** COUNT(DISTINCT privacy unit): users with a qualifying combination in the group. */
  | { readonly kind: 'users' }
  /** COUNT(*): qualifying combinations. */
  | { readonly kind: 'rows' }
  /** Users with a qualifying combination for which the guard holds too. */
  | { readonly kind: 'usersIf'; readonly guard: PairPredicate }
  /** COUNT(column): qualifying combinations whose column is not NULL. */
  | { readonly kind: 'nonNull'; readonly side: Side; readonly column: string }
  /** SUM(column), NULL as 0; clamped to the declared bounds when the plan is private. */
  | { readonly kind: 'sum'; readonly side: Side; readonly column: string }
  /** SUM(2x − (lower + upper)) over non-NULL x, clamped: the centred sum behind a private AVG. */
  | { readonly kind: 'centredSum'; readonly side: Side; readonly column: string }
  /** The sum over combinations of all terms: an expression over columns of several sides. */
  | {
      readonly kind: 'terms';
      /** True when it counts rows: over none it is 0, where a sum is NULL. */
      readonly counts: boolean;
      readonly terms: readonly MeasureTerm[];
    };

/** A product of columns of different sides, NULL as 0, where the guard holds. */
export interface MeasureTerm {
  readonly guard: PairPredicate | null;
  /** Widest first: it is multiplied as a ring element, the others bit by bit. Empty: the term is 1. */
  readonly factors: readonly MeasureFactor[];
}

/** `value − base` is an unsigned integer below 2^bits; NULL counts as the value 0. */
export interface MeasureFactor {
  readonly side: Side;
  readonly column: string;
  readonly base: string;
  readonly bits: number;
}

/** A measure with its release. `sensitivity` is D1, the L1 bound over all groups, a decimal string. */
export interface PlannedMeasure {
  readonly measure: Measure;
  /** Coded-unit clamp bounds of the column, decimal strings; null where no clamp applies. */
  readonly clamp: { readonly lower: string; readonly upper: string } | null;
  /**
   * Of a sum: bounds on what one user adds up to in one group, applied on shares, with 0 between them.
   * `bits` is the width of that sum in two's complement, before. Null where values are bounded alone.
   */
  readonly groupSum: {
    readonly lower: string;
    readonly upper: string;
    readonly bits: number;
  } | null;
  readonly sensitivity: string;
  /** This measure's share of the query's epsilon, `num/den`; null when nothing is noised. */
  readonly epsilon: string | null;
  /** False for a hidden user count that only gates. Hidden measures are never opened. */
  readonly released: boolean;
  /**
   * True for a non-private SUM: the cell opens to the sentinel also when every value was NULL.
   * `nonNullIndex` names the measure counting non-NULL values.
   */
  readonly nonNullIndex: number | null;
  /**
   * The measure that holds the low bits of each value of a sum too wide for one element. What opens
   * is one number: carries are settled on shares, so the low cell ends up in [0, 2^bits).
   */
  readonly low: { readonly measure: number; readonly bits: number } | null;
  /**
   * Measures of one histogram have one number: a row is in one bucket, so they have one L1 bound
   * and one share of epsilon together. Null elsewhere.
   */
  readonly histogram: number | null;
}

/** A value of the answer, computed by the analyst's client from released numbers: post-processing. */
export type OutputExpression =
  | { readonly kind: 'group'; readonly key: number }
  | { readonly kind: 'measure'; readonly measure: number }
  /** sum / count of non-NULL values; when `centred`, from the centred sum of privacy.md §2. */
  | {
      readonly kind: 'average';
      readonly sum: number;
      readonly count: number;
      readonly centred: boolean;
    }
  /** From sums of values and squares; when `centred`, of 2x − (lower + upper). */
  | {
      readonly kind: 'variance';
      readonly of: 'population' | 'sample';
      readonly root: boolean;
      readonly sum: number;
      readonly squares: number;
      readonly count: number;
      readonly centred: boolean;
    }
  /** The bucket that holds the value of rank max(1, ⌈fraction · n⌉). */
  | {
      readonly kind: 'quantile';
      readonly fraction: string;
      readonly buckets: readonly number[];
      /** Coded value that each bucket stands for. */
      readonly values: readonly string[];
    }
  /** A coded quantity in units of 10^-scale. */
  | { readonly kind: 'scaled'; readonly of: OutputExpression; readonly scale: number }
  /** `num/den`. */
  | { readonly kind: 'number'; readonly value: string }
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }
  | {
      readonly kind: '+' | '-' | '*' | '/';
      readonly left: OutputExpression;
      readonly right: OutputExpression;
    }
  /** Half away from zero, at so many digits after the point. */
  | { readonly kind: 'round'; readonly of: OutputExpression; readonly digits: number }
  | {
      readonly kind: 'coalesce' | 'least' | 'greatest';
      readonly terms: readonly OutputExpression[];
    }
  | { readonly kind: 'and' | 'or'; readonly terms: readonly OutputExpression[] }
  | { readonly kind: 'not' | 'isNull'; readonly of: OutputExpression }
  | {
      readonly kind: 'compare';
      readonly op: Comparison;
      readonly left: OutputExpression;
      readonly right: OutputExpression;
    }
  | {
      readonly kind: 'case';
      readonly branches: readonly {
        readonly when: OutputExpression;
        readonly then: OutputExpression;
      }[];
      readonly otherwise: OutputExpression;
    };

/** One output column of the SELECT list, in order. */
export interface OutputColumn {
  readonly name: string;
  readonly value: OutputExpression;
  /** Digits after the point of a decimal; for a double, digits its rounding keeps at least. */
  readonly scale: number;
  readonly type: ColumnTypeName;
}

export type ColumnTypeName = 'date' | 'decimal' | 'integer' | 'text' | 'boolean' | 'double';

export interface OrderKey {
  /** Index into `output`, and beyond it into `hidden`. */
  readonly column: number;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
}

/** What one party does before the join, and the public shape of what it brings. */
export interface PlanSide {
  readonly party: string;
  readonly table: string;
  /**
   * Further tables of the party, sorted, which it joins to `table` on its own unit before anything
   * else; columns are then called `table.column`.
   */
  readonly joined: readonly string[];
  /** Declared bound on users: the public capacity. */
  readonly capacity: number;
  /** Row slots per user in this plan. */
  readonly slots: number;
  /**
   * When not null, the owner adds up to so many rows of a user up, by their group, before the join:
   * a slot then holds a group, columns of op `total` their sums, and a bit is TRUE where it is for any
   * of the rows. Null: a slot holds a row.
   */
  readonly eagerRows: number | null;
  /** Rows failing this are dropped before slots are filled. */
  readonly filter: LocalPredicate | null;
  /** Predicates whose truth per row enters `pair` as a bit. */
  readonly bits: readonly LocalPredicate[];
  /** Columns whose values enter the computation, sorted; derived ones by their names. */
  readonly columns: readonly string[];
  /** Columns that the owner computes from its rows, called `=0`, `=1` and so on. */
  readonly derived: readonly { readonly name: string; readonly term: Term }[];
  /**
   * The row of NULLs that LEFT JOIN gives a user whom this side lacks, or null when users must
   * match. Values are in the order of `columns`, bits in that of `bits`.
   */
  readonly absent: {
    readonly values: readonly (number | null)[];
    readonly bits: readonly boolean[];
  } | null;
  /**
   * What the owner leaves out of each user's rows, in order, by row key; null when the plan is not
   * private. What holds for joined rows in the end is in `Plan.contributions`.
   */
  readonly bounds: {
    /** At most this many distinct values of the side's own group keys per user. */
    readonly partitions: number;
    /** At most this many rows per user and group. */
    readonly rowsPerPartition: number;
  } | null;
}

/**
 * Bounds on the joined rows of one user that qualify, applied on shares: kept are the rows of the
 * first `partitions` groups, and the first `rowsPerPartition` rows of each, in the order of the
 * slots of the sides with group keys and then of the others' (engine/contributions.ts). Null where
 * the bounds of the sides leave nothing to cut.
 */
export interface PlanContributions {
  /** `split`: too many combinations to bound on shares, so the sides' bounds multiply to L0 and C. */
  readonly rule: 'joined' | 'split';
  readonly partitions: number | null;
  readonly rowsPerPartition: number | null;
}

/** The release rule, all integers and exact rationals; the noise thresholds follow from it. */
export interface PlanPrivacy {
  readonly selection: 'exact_k' | 'pre_threshold' | 'noisy';
  /** k: least distinct users of a group that opens. 1 with DP off opens every non-empty group. */
  readonly minUsers: number;
  /** noisy: the most that the chance is that one group below k opens, `num/den`; null elsewhere. */
  readonly belowK: string | null;
  /** Null when differential privacy is off by policy. */
  readonly differential: {
    readonly mechanism: 'discrete_laplace';
    readonly epsilon: string;
    readonly delta: string;
    readonly maxPartitions: number;
    readonly maxContributions: number;
    readonly thresholdBits: number;
  } | null;
  readonly confidenceLevel: string;
}

/** How the join runs; from the signed policy, so all parties run the same. */
export interface PlanJoin {
  readonly oprf: 'ecdh' | 'kkrt';
  /** SoftSpoken's k: bytes on the wire against AES work. */
  readonly otFieldBits: 2 | 4;
  /** Equal parts the users are dealt into by hash; see engine/mpc/shards.ts for their capacity. */
  readonly shards: number;
}

export interface Plan {
  readonly version: 5;
  readonly room: string;
  readonly policyDigest: string;
  /** Pivot first, then the senders in policy order; 2 to 4. */
  readonly sides: readonly PlanSide[];
  readonly join: PlanJoin;
  readonly pair: PairPredicate | null;
  /** Null when the plan is not private. */
  readonly contributions: PlanContributions | null;
  /** Group keys in GROUP BY order; the groups are the product of their domains, last fastest. */
  readonly groups: readonly GroupKey[];
  /** Measure 0 is always the user count. */
  readonly measures: readonly PlannedMeasure[];
  readonly output: readonly OutputColumn[];
  /** Columns that ORDER BY needs and the answer does not show. */
  readonly hidden: readonly OutputColumn[];
  /** A group's row stays when this is TRUE. */
  readonly having: OutputExpression | null;
  readonly orderBy: readonly OrderKey[];
  readonly limit: number | null;
  readonly offset: number;
  readonly privacy: PlanPrivacy;
}
