/** A line of a chart: points in data units, both positive. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Chart {
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  readonly series: readonly Series[];
}

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 84;
const RIGHT = 150;
const TOP = 46;
const BOTTOM = 58;
const LABEL_PX = 15;

/** Okabe and Ito's palette, told apart with any colour vision; yellow left out on white. */
const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'];

/** Text for an XML attribute or element. */
export function escapeXml(text: string): string {
  const entities: Record<string, string> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };
  return text.replace(/[&<>"]/g, (c) => `&${entities[c]!};`);
}

/** 1, 2 and 5 times the powers of ten within [min, max]; the powers alone over a wide range. */
export function logTicks(min: number, max: number): number[] {
  const steps = Math.log10(max / min) > 3 ? [1] : [1, 2, 5];
  const ticks: number[] = [];
  for (let e = Math.floor(Math.log10(min)); e <= Math.ceil(Math.log10(max)); e += 1) {
    for (const step of steps) ticks.push(Number(`${step}e${e}`));
  }
  return ticks.filter((tick) => tick >= min * 0.999 && tick <= max * 1.001);
}

/** 1,500 as 1.5k; up to T, and plain below 1. */
export function shortNumber(value: number): string {
  const units = ['', 'k', 'M', 'G', 'T'];
  let scaled = value;
  let unit = 0;
  while (scaled >= 1000 && unit < units.length - 1) {
    scaled /= 1000;
    unit += 1;
  }
  return `${Number(scaled.toPrecision(3))}${units[unit]!}`;
}

/** Moves positions down so that neighbours are at least `gap` apart; order is kept. */
export function spreadLabels(positions: readonly number[], gap: number): number[] {
  const order = positions.map((_, i) => i).sort((a, b) => positions[a]! - positions[b]!);
  const out = [...positions];
  for (const [at, i] of order.entries()) {
    if (at > 0) out[i] = Math.max(out[i]!, out[order[at - 1]!]! + gap);
  }
  return out;
}

/** Both axes logarithmic; each line is named at its right end. */
export function drawChart(chart: Chart): string {
  const series = chart.series.filter(({ points }) => points.length > 0);
  if (series.length === 0) throw new Error(`nothing to draw: ${chart.title}`);
  const all = series.flatMap(({ points }) => points);
  const [x0, x1] = rangeOf(all.map(([x]) => x));
  const [y0, y1] = rangeOf(all.map(([, y]) => y));
  const at = (v: number, min: number, max: number): number =>
    Math.log(v / min) / Math.log(max / min);
  const px = (x: number): number => LEFT + (WIDTH - LEFT - RIGHT) * at(x, x0, x1);
  const py = (y: number): number => HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * at(y, y0, y1);
  const ends = series.map(({ points }) => py(points.at(-1)![1]));
  const labels = spreadLabels(ends, LABEL_PX);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="system-ui, sans-serif" font-size="13" fill="#222">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text(LEFT, 26, chart.title, 'font-size="16" font-weight="600"'),
    ...xAxis(
      xTicks(
        all.map(([x]) => x),
        x0,
        x1,
      ),
      px,
    ),
    ...yAxis(logTicks(y0, y1), py),
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, chart.xLabel, 'text-anchor="middle"'),
    `<g transform="rotate(-90 20 ${(TOP + HEIGHT - BOTTOM) / 2})">${text(20, (TOP + HEIGHT - BOTTOM) / 2, chart.yLabel, 'text-anchor="middle"')}</g>`,
    ...series.flatMap((one, i) => drawLine(one, COLOURS[i % COLOURS.length]!, px, py, labels[i]!)),
    '</svg>\n',
  ].join('\n');
}

/** A little room around the values, and never an empty range. */
function rangeOf(values: readonly number[]): [number, number] {
  const [min, max] = [Math.min(...values), Math.max(...values)];
  if (!(min > 0)) throw new RangeError('a logarithmic axis has positive values');
  const room = Math.max(1.1, (max / min) ** 0.04);
  return [min / room, max * room];
}

/** The measured places themselves while there is room for them. */
function xTicks(xs: readonly number[], min: number, max: number): number[] {
  const places = [...new Set(xs)];
  return places.length <= 8 ? places : logTicks(min, max);
}

function xAxis(ticks: readonly number[], px: (x: number) => number): string[] {
  return ticks.flatMap((tick) => [
    line(px(tick), TOP, px(tick), HEIGHT - BOTTOM, '#e3e3e3'),
    text(px(tick), HEIGHT - BOTTOM + 20, placeName(tick), 'text-anchor="middle"'),
  ]);
}

/** Powers of two by exponent: sizes are chosen so. */
function placeName(x: number): string {
  const exponent = Math.log2(x);
  return Number.isInteger(exponent) && exponent >= 10 ? `2^${exponent}` : shortNumber(x);
}

function yAxis(ticks: readonly number[], py: (y: number) => number): string[] {
  return ticks.flatMap((tick) => [
    line(LEFT, py(tick), WIDTH - RIGHT, py(tick), '#e3e3e3'),
    text(LEFT - 8, py(tick) + 4, shortNumber(tick), 'text-anchor="end"'),
  ]);
}

function drawLine(
  { name, points }: Series,
  colour: string,
  px: (x: number) => number,
  py: (y: number) => number,
  labelY: number,
): string[] {
  const at = points.map(([x, y]) => [px(x).toFixed(1), py(y).toFixed(1)] as const);
  const last = points.at(-1)!;
  return [
    `<polyline points="${at.map((p) => p.join()).join(' ')}" fill="none" stroke="${colour}" stroke-width="2.2"/>`,
    ...at.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3.4" fill="${colour}"/>`),
    text(px(last[0]) + 9, labelY + 4, name, `fill="${colour}" font-weight="600"`),
  ];
}

function line(x1: number, y1: number, x2: number, y2: number, colour: string): string {
  const [a, b, c, d] = [x1, y1, x2, y2].map((v) => v.toFixed(1));
  return `<line x1="${a}" y1="${b}" x2="${c}" y2="${d}" stroke="${colour}"/>`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${escapeXml(content)}</text>`;
}
