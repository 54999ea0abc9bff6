// BLAKE2s of RFC 7693 in plain 32-bit arithmetic, with the salt and personalization of the BLAKE2
// document.

export interface Blake2sOptions {
  readonly digestBytes: number;
  readonly key?: Uint8Array;
  /** 8 bytes. */
  readonly salt?: Uint8Array;
  /** 8 bytes. */
  readonly person?: Uint8Array;
}

const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const SIGMA = [
  '0123456789abcdef',
  'ea489fd61c02b753',
  'b8c052fdae367194',
  '7931dcbe265a40f8',
  '905724afe1bc683d',
  '2c6a0b834d75fe19',
  'c51fed4a0763928b',
  'db7ec13950f4862a',
  '6fe9b308c2d714a5',
  'a2847615fb9e3cd0',
].map((row) => Array.from(row, (digit) => Number.parseInt(digit, 16)));

/** Word indices of the eight mixings of a round: columns, then diagonals. */
const MIXINGS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

export function blake2s(data: Uint8Array, options: Blake2sOptions): Uint8Array {
  const { digestBytes, key = new Uint8Array(0), salt, person } = options;
  const parameters = new Uint8Array(32);
  parameters.set([digestBytes, key.length, 1, 1]);
  if (salt !== undefined) parameters.set(salt, 16);
  if (person !== undefined) parameters.set(person, 24);
  const h = new Uint32Array(parameters.buffer).map((word, i) => word ^ IV[i]!);
  const message = new Uint8Array((key.length > 0 ? 64 : 0) + data.length);
  message.set(key);
  message.set(data, message.length - data.length);
  for (let at = 0; at === 0 || at < message.length; at += 64) {
    const block = new Uint8Array(64);
    block.set(message.subarray(at, at + 64));
    const end = Math.min(at + 64, message.length);
    compress(h, new Uint32Array(block.buffer), end, end === message.length);
  }
  return new Uint8Array(h.buffer).slice(0, digestBytes);
}

function compress(h: Uint32Array, m: Uint32Array, t: number, last: boolean): void {
  const v = Uint32Array.from([...h, ...IV]);
  v[12]! ^= t;
  if (last) v[14] = ~v[14]!;
  const turn = (x: number, by: number): number => (x >>> by) | (x << (32 - by));
  for (const sigma of SIGMA) {
    MIXINGS.forEach(([a, b, c, d], i) => {
      for (const [word, r, s] of [
        [m[sigma[2 * i]!]!, 16, 12],
        [m[sigma[2 * i + 1]!]!, 8, 7],
      ] as const) {
        v[a] = v[a]! + v[b]! + word;
        v[d] = turn(v[d]! ^ v[a], r);
        v[c] = v[c]! + v[d];
        v[b] = turn(v[b]! ^ v[c], s);
      }
    });
  }
  for (let i = 0; i < 8; i++) h[i]! ^= v[i]! ^ v[i + 8]!;
}
