/** Conditions, values and measures of a plan in words. */
import { scaledText } from '../client/index.ts';
import type { ColumnPolicy, Policy } from '../policy/types.ts';
import type {
  LocalPredicate,
  Measure,
  MeasureTerm,
  PairPredicate,
  Plan,
  PlanSide,
  Side,
  Term,
} from '../sql/plan.ts';

/** LOCAL. Characters of one expression before it is cut. */
const TEXT_CHARS_MAX = 160;

const short = (text: string): string =>
  text.length <= TEXT_CHARS_MAX ? text : `${text.slice(0, TEXT_CHARS_MAX - 3)}...`;

type ColumnOf = (column: string) => ColumnPolicy | undefined;

function columnsOf(policy: Policy, side: PlanSide): ColumnOf {
  const tables = policy.parties.find(({ name }) => name === side.party)?.tables ?? {};
  return (column) => {
    const [table, name] = column.includes('.') ? column.split('.') : [side.table, column];
    return tables[table!]?.columns[name!];
  };
}

/** A coded integer as the column it is compared with writes it. */
function literalText(value: string | null, column: ColumnPolicy | undefined): string {
  if (value === null) return 'NULL';
  switch (column?.type) {
    case 'date': {
      const day = new Date(Number(value) * 86_400_000);
      return Number.isNaN(day.getTime()) ? value : day.toISOString().slice(0, 10);
    }
    case 'text':
      return column.values?.[Number(value)] ?? '(no such value)';
    case 'boolean':
      return value === '0' ? 'false' : 'true';
    case 'decimal':
      return scaledText(BigInt(value), column.scale ?? 0).replace(/(?:\.|(\.\d*[1-9]))0+$/, '$1');
    default:
      return value;
  }
}

/** The column whose units a term is in, when it is one. */
function unitsOf(term: Term, columnOf: ColumnOf): ColumnPolicy | undefined {
  if ('column' in term) return columnOf(term.column);
  return 'op' in term && (term.op === 'clamp' || term.op === 'total')
    ? unitsOf(term.of, columnOf)
    : undefined;
}

function termText(term: Term, columnOf: ColumnOf, units?: ColumnPolicy): string {
  if ('column' in term) return term.column;
  if ('value' in term) return literalText(term.value, units);
  const of = (inner: Term): string => termText(inner, columnOf, units);
  switch (term.op) {
    case '+':
    case '-':
    case '*':
      return `(${of(term.left)} ${term.op} ${of(term.right)})`;
    case 'least':
    case 'greatest':
    case 'coalesce':
      return `${term.op.toUpperCase()}(${term.terms.map(of).join(', ')})`;
    case 'case': {
      const branches = term.branches.map(
        ({ when, then }) => `WHEN ${predicateText(when, columnOf)} THEN ${of(then)}`,
      );
      return `CASE ${branches.join(' ')} ELSE ${of(term.otherwise)} END`;
    }
    case 'clamp': {
      const own = unitsOf(term.of, columnOf);
      const [lower, upper] = [term.lower, term.upper].map((end) => literalText(end, own));
      return `${of(term.of)} held in ${lower!}..${upper!}`;
    }
    case 'div':
    case 'mod':
      return `${term.op}(${of(term.of)}, ${term.by})`;
    case 'part':
    case 'trunc':
      return `${term.part} of ${of(term.of)}`;
    case 'map':
      return of(term.of);
    case 'total':
      return 'value' in term.of ? 'rows' : `sum of ${of(term.of)}`;
    case 'present':
      return 'row found';
  }
}

function predicateText(node: LocalPredicate, columnOf: ColumnOf): string {
  switch (node.kind) {
    case 'and':
    case 'or': {
      const parts = node.terms.map((part) => predicateText(part, columnOf));
      return `(${parts.join(` ${node.kind.toUpperCase()} `)})`;
    }
    case 'not':
      return `NOT ${predicateText(node.term, columnOf)}`;
    case 'compare': {
      const [left, right] = [
        termText(node.left, columnOf, unitsOf(node.right, columnOf)),
        termText(node.right, columnOf, unitsOf(node.left, columnOf)),
      ];
      return `${left} ${node.op} ${right}`;
    }
    case 'in': {
      const units = unitsOf(node.term, columnOf);
      const list = node.list.map(({ value }) => literalText(value, units));
      return `${termText(node.term, columnOf)} IN (${list.join(', ')})`;
    }
    case 'isNull':
      return `${termText(node.term, columnOf)} IS NULL`;
    case 'constant':
      return String(node.value ?? 'NULL').toUpperCase();
  }
}

/** Words for one plan. */
export interface PlanWords {
  readonly condition: (side: PlanSide, node: LocalPredicate) => string;
  /** A column of a side; what a derived one is made of. */
  readonly column: (side: Side, name: string) => string;
  readonly pair: (node: PairPredicate) => string;
  readonly measure: (measure: Measure) => string;
}

export function wordsOf(plan: Plan, policy: Policy): PlanWords {
  const condition = (side: PlanSide, node: LocalPredicate): string =>
    short(predicateText(node, columnsOf(policy, side)));
  const column = (which: Side, name: string): string => {
    const side = plan.sides[which]!;
    const derived = side.derived.find((one) => one.name === name);
    if (derived === undefined) return `${side.table}.${name}`;
    return `${side.table}[${short(termText(derived.term, columnsOf(policy, side)))}]`;
  };
  const pair = (node: PairPredicate): string => {
    switch (node.kind) {
      case 'and':
      case 'or':
        return `(${node.terms.map(pair).join(` ${node.kind.toUpperCase()} `)})`;
      case 'not':
        return `NOT ${pair(node.term)}`;
      case 'bit': {
        const side = plan.sides[node.side]!;
        return `${side.table}[${condition(side, side.bits[node.index]!)}]`;
      }
      case 'compare':
        return `${column(node.left.side, node.left.column)} ${node.op} ${column(node.right.side, node.right.column)}`;
    }
  };
  const term = ({ guard, factors }: MeasureTerm): string => {
    const product = factors.map((factor) => column(factor.side, factor.column)).join(' × ');
    const value = product === '' ? '1' : product;
    return guard === null ? value : `${value} where ${short(pair(guard))}`;
  };
  const measure = (one: Measure): string => {
    switch (one.kind) {
      case 'users':
        return 'people';
      case 'rows':
        return 'rows';
      case 'usersIf':
        return `people where ${short(pair(one.guard))}`;
      case 'nonNull':
        return `count of ${column(one.side, one.column)}`;
      case 'sum':
        return `sum of ${column(one.side, one.column)}`;
      case 'centredSum':
        return `centred sum of ${column(one.side, one.column)}`;
      case 'terms':
        return `${one.counts ? 'count' : 'sum'} of ${short(one.terms.map(term).join(' + '))}`;
    }
  };
  return { condition, column, pair: (node) => short(pair(node)), measure };
}
