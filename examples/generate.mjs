// Writes the CSV files of the generated rooms: `node examples/generate.mjs [FOLDER]`. No clock, no
// system randomness: every run writes the same bytes, which are committed. All people are invented;
// their addresses are at domains reserved for examples, or at gmail.com under unlikely names.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CUSTOMERS = 5000;
const READERS = 8000;
/** Customers who are readers too: people 0 to OVERLAP - 1 are both. */
const OVERLAP = 2400;
/** Chance of a second row; nobody has a third, for the policy keeps two. */
const SECOND_ROW = 0.4;

const CAMPAIGNS = [
  { id: 'sg_fall25', from: '2025-09-08', days: 45 },
  { id: 'sg_holiday25', from: '2025-11-03', days: 45 },
];
const SHOPPING = { from: '2025-09-15', days: 120 };
const CATEGORIES = ['home', 'beauty', 'sports'];
const DOMAINS = ['example.com', 'example.org', 'example.net'];

/** xorshift32 (Marsaglia 2003). For made-up data only. */
function generator(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

const random = generator(20251012);
const below = (n) => Math.floor(random() * n);
const pick = (list) => list[below(list.length)];
const chance = (p) => random() < p;

function dayIn({ from, days }) {
  const day = new Date(`${from}T00:00:00Z`);
  day.setUTCDate(day.getUTCDate() + below(days));
  return day.toISOString().slice(0, 10);
}

/** Person p's address, before either company has written it down in its own way. */
function addressOf(p) {
  return p % 5 === 0 ? `pdemo.p${p}@gmail.com` : `p${p}@${DOMAINS[p % DOMAINS.length]}`;
}

/** The same person is written differently in different books. */
function asTyped(address) {
  if (chance(0.04)) return address.toUpperCase();
  if (chance(0.04)) return ` ${address}`;
  if (chance(0.2) && address.endsWith('@gmail.com')) {
    return address.replace('pdemo.', 'p.demo').replace('@', '+shop@');
  }
  return address;
}

/** Mostly small baskets, a few large ones; some amounts were never recorded. */
function amount() {
  if (chance(0.02)) return '';
  const cents = 499 + Math.floor(24_500 * random() ** 2.2) + (chance(0.02) ? 30_000 : 0);
  return `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
}

function shuffled(list) {
  const out = [...list];
  for (let i = out.length - 1; i > 0; i -= 1) {
    const j = below(i + 1);
    [out[i], out[j]] = [out[j], out[i]];
  }
  return out;
}

function rowsOf(people, row) {
  return shuffled(people.flatMap((p) => (chance(SECOND_ROW) ? [p, p] : [p]))).map(row);
}

const people = (from, count) => Array.from({ length: count }, (_, i) => from + i);
const customers = people(0, CUSTOMERS);
const readers = [...people(0, OVERLAP), ...people(CUSTOMERS, READERS - OVERLAP)];

const purchases = rowsOf(
  customers,
  (p) => `${p},${asTyped(addressOf(p))},${dayIn(SHOPPING)},${amount()},${pick(CATEGORIES)}`,
);
const exposures = rowsOf(readers, (p) => {
  const campaign = CAMPAIGNS[p % 2];
  return `${READERS - (p % READERS)},${asTyped(addressOf(p))},${campaign.id},${dayIn(campaign)}`;
});

const target = process.argv[2] ?? dirname(fileURLToPath(import.meta.url));

function write(path, header, rows) {
  const file = join(target, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, [header, ...rows, ''].join('\n'));
}

const PURCHASES = 'customer_id,email,purchase_date,total_spent,category';
const EXPOSURES = 'user_id,email,campaign_id,exposure_date';
write('shopgood-newsnow/data/shopgood/purchases.csv', PURCHASES, purchases);
write('shopgood-newsnow/data/newsnow/exposures.csv', EXPOSURES, exposures);

// Three companies over the first people of the same town; two in three customers collect points.
const few = { customers: people(0, 900), readers: people(200, 1300), members: people(100, 1200) };
write(
  'three-parties/data/shopgood/purchases.csv',
  PURCHASES,
  rowsOf(
    few.customers,
    (p) => `${p},${asTyped(addressOf(p))},${dayIn(SHOPPING)},${amount()},${pick(CATEGORIES)}`,
  ),
);
write(
  'three-parties/data/newsnow/exposures.csv',
  EXPOSURES,
  rowsOf(few.readers, (p) => {
    const campaign = CAMPAIGNS[p % 2];
    return `${READERS - p},${asTyped(addressOf(p))},${campaign.id},${dayIn(campaign)}`;
  }),
);
write(
  'three-parties/data/pointsplus/members.csv',
  'card,email,tier,member_since',
  shuffled(few.members.filter((p) => p % 3 !== 0)).map((p) => {
    const since = dayIn({ from: '2024-01-01', days: 700 });
    return `${700_000 + p},${asTyped(addressOf(p))},${pick(['gold', 'silver', 'blue'])},${since}`;
  }),
);

// The room of the templates: 1,600 of 3,200 readers, drawn at random, were shown two campaigns up to
// three times; those who were are likelier to have joined and bought since.
const SHOWN = 1600;
const arms = shuffled(people(0, 2 * SHOWN));
const exposed = arms.slice(0, SHOWN);
const control = arms.slice(SHOWN);
const JOINING = { from: '2025-09-10', days: 100 };
write(
  'templates/data/newsnow/assignments.csv',
  'email,arm',
  shuffled([
    ...exposed.map((p) => `${asTyped(addressOf(p))},exposed`),
    ...control.map((p) => `${asTyped(addressOf(p))},control`),
  ]),
);
write(
  'templates/data/newsnow/exposures.csv',
  'email,campaign_id,exposure_date,exposure_number,next_exposure_date',
  shuffled(
    exposed.flatMap((p) => {
      const own = Array.from({ length: 1 + below(3) }, () => {
        const campaign = pick(CAMPAIGNS);
        return { campaign: campaign.id, day: dayIn(campaign) };
      });
      own.sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
      return own.map(({ campaign, day }, i) => {
        return `${asTyped(addressOf(p))},${campaign},${day},${i + 1},${own[i + 1]?.day ?? ''}`;
      });
    }),
  ),
);
const buyers = [...exposed.filter(() => chance(0.62)), ...control.filter(() => chance(0.25))].slice(
  0,
  1500,
);
write(
  'templates/data/shopgood/purchases.csv',
  PURCHASES,
  rowsOf(
    buyers,
    (p) => `${p},${asTyped(addressOf(p))},${dayIn(SHOPPING)},${amount()},${pick(CATEGORIES)}`,
  ),
);
write(
  'templates/data/pointsplus/members.csv',
  'card,email,tier,member_since',
  shuffled([...exposed.filter(() => chance(0.55)), ...control.filter(() => chance(0.18))])
    .slice(0, 1200)
    .map((p) => {
      const tier = pick(['gold', 'silver', 'blue']);
      return `${800_000 + p},${asTyped(addressOf(p))},${tier},${dayIn(JOINING)}`;
    }),
);
