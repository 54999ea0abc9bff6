/** The policy packet as code sees it after validation. The zod schema must produce this type. */
import type { TeePolicy } from './tee.ts';

export type ColumnType = 'date' | 'decimal' | 'integer' | 'text' | 'boolean';

/** A column of a table; which fields are present follows from `type`. */
export interface ColumnPolicy {
  readonly type: ColumnType;
  readonly nullable: boolean;
  /** date: inclusive range, ISO. Enforced at import. */
  readonly min?: string;
  readonly max?: string;
  /** decimal: digits after the point (0–6); integer: 0. */
  readonly scale?: number;
  /** decimal, integer: clamp bounds as decimal strings; needed for SUM and AVG under DP. */
  readonly lower?: string;
  readonly upper?: string;
  /**
   * decimal, integer: bounds on what the rows of one person add up to in one group, for SUM of the
   * column; no rows add up to 0, which lies between them.
   */
  readonly min_sum_per_partition?: string;
  readonly max_sum_per_partition?: string;
  /** decimal, integer: weight of the column's SUM, AVG, VARIANCE and quantiles; 1 when absent. */
  readonly budget_weight?: string;
  /** text, integer: the declared domain, in declared order. Enforced at import. */
  readonly values?: readonly string[];
}

export type IdentifierKind = 'email' | 'phone' | 'exact';

export interface TablePolicy {
  /** The owner's name of its data, the same in every room; `<party>/<table>` when left out. */
  readonly dataset?: string;
  /** Which state of the data: budgets are of a dataset in an epoch. */
  readonly data_epoch?: string;
  readonly privacy_unit_column: { readonly name: string; readonly kind: IdentifierKind };
  readonly max_users: number;
  readonly max_rows_per_user: number;
  readonly columns: Readonly<Record<string, ColumnPolicy>>;
}

export interface PartyPolicy {
  readonly name: string;
  /** `ed25519:` + base64url of 32 bytes. Signs the packet, goes and receipts. */
  readonly identity_key: string;
  /** `x25519:` + base64url of 32 bytes. Static key of the party's links (Noise). */
  readonly link_key: string;
  /** Where other parties dial it, `ws:` or `wss:`; needed when links are direct. */
  readonly address?: string;
  readonly tables: Readonly<Record<string, TablePolicy>>;
}

export interface AnalystPolicy {
  readonly name: string;
  readonly signing_key: string;
  readonly sealing_key: string;
}

export interface ViewPolicy {
  /** 2 to 4 tables of as many parties. */
  readonly join: readonly string[];
  readonly privacy_unit_alias: string;
}

export type AggregateName = 'COUNT' | 'COUNT_DISTINCT' | 'SUM' | 'AVG' | 'VARIANCE' | 'QUANTILE';
export type PartitionSelection = 'exact_k' | 'pre_threshold' | 'noisy';

export interface DifferentialPrivacy {
  readonly noise_mechanism: 'discrete_laplace';
  /** How spending adds up; `basic` when left out. */
  readonly accounting?: 'basic' | 'zcdp';
  /** Given exactly with `zcdp`. */
  readonly rho_budget?: string;
  /** Whether a new `data_epoch` begins a new budget; `none` when left out. */
  readonly budget_refresh?: 'none' | 'new_data_epoch';
  /** Decimal strings, exact. */
  readonly epsilon_budget: string;
  readonly max_epsilon_per_query: string;
  /** A query that names no epsilon takes this. */
  readonly default_epsilon_per_query: string;
  readonly delta_budget: string;
  readonly delta_per_query: string;
  readonly max_partitions_contributed: number;
  readonly max_contributions_per_partition: number;
  /** Bits of a noise coin's threshold, 64 to 128. */
  readonly noise_threshold_bits: number;
  /** How a query's epsilon is shared out between its aggregates; 1 where absent. */
  readonly budget_weight?: Readonly<Partial<Record<AggregateName, string>>>;
}

/** One value that a template leaves open; every value is given as text and read by its type. */
export type TemplateParameter = {
  /** What is taken when a run names none. */
  readonly default?: string;
  /** For people. */
  readonly about?: string;
} & (
  | { readonly type: 'integer' | 'decimal' | 'date'; readonly min: string; readonly max: string }
  | { readonly type: 'text'; readonly values: readonly string[] }
  /** A table of the policy; `values` narrows which. */
  | { readonly type: 'table'; readonly values?: readonly string[] }
  /** A column of the table that parameter `table` names; `kinds` are column types. */
  | {
      readonly type: 'column';
      readonly table: string;
      readonly kinds?: readonly ColumnType[];
      readonly values?: readonly string[];
    }
  /** A value of the declared domain of the column that parameter `column` names. */
  | { readonly type: 'value'; readonly column: string }
  /** The privacy-unit column of the table that parameter `table` names; never given. */
  | { readonly type: 'unit'; readonly table: string }
);

/** SQL in which `:name` stands for a parameter. */
export interface QueryTemplate {
  readonly name: string;
  readonly sql: string;
  readonly parameters: Readonly<Record<string, TemplateParameter>>;
}

/** Which questions nodes run. */
export interface QueriesPolicy {
  /**
   * `templates`: instances of the templates below, nothing else. `approved`: those, and every plan
   * that each of its parties has approved. Any question of an analyst when the field is absent.
   */
  readonly mode: 'any' | 'templates' | 'approved';
  readonly templates: readonly QueryTemplate[];
}

export interface RulesPolicy {
  readonly allowed_aggregates: readonly AggregateName[];
  readonly min_privacy_units_per_group: number;
  readonly partition_selection: PartitionSelection;
  /** noisy: most that the chance may be that a given group below k opens; decimal string. */
  readonly below_k_probability?: string;
  readonly differential_privacy: DifferentialPrivacy | 'off';
  /** Level of the intervals shown to analysts, decimal string such as "0.95". */
  readonly confidence_level: string;
  readonly join: {
    readonly oprf: 'ecdh' | 'kkrt';
    /** SoftSpoken's k: 2 for fast links, 4 for half the bytes. */
    readonly ot_field_bits: 2 | 4;
    /** Declared users per shard of a query, on average. */
    readonly shard_users: number;
  };
  readonly size_disclosure: 'declared';
  readonly queries?: QueriesPolicy;
  /** Whether an identical question gets its earlier answer again, for nothing; absent is true. */
  readonly cache_identical_queries?: boolean;
}

export interface Policy {
  readonly version: 1;
  readonly room: string;
  /** 32 bytes of lower-case hex; keys the identifier hashes of this room. Not a secret. */
  readonly identifier_salt: string;
  readonly parties: readonly PartyPolicy[];
  readonly views: Readonly<Record<string, ViewPolicy>>;
  readonly analysts: readonly AnalystPolicy[];
  readonly rules: RulesPolicy;
  readonly execution: {
    readonly backends: readonly ('mpc' | 'tee')[];
    /** Present exactly when `tee` is among the backends. */
    readonly tee: TeePolicy | null;
    /** How bytes travel between parties: through the coordinator, or from node to node. */
    readonly links: 'relay' | 'direct';
  };
}

/** A policy with the signatures of all its parties, as it travels and as it lies on disk. */
export interface PolicyPacket {
  readonly policy: Policy;
  /** Party name to base64url Ed25519 signature over the domain-separated policy digest. */
  readonly signatures: Readonly<Record<string, string>>;
}
