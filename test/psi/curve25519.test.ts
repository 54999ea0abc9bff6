// Goal: the kernel's field, hash and map are the textbook ones on every input, edges included, and it
// tells curve from twist and canonical from not exactly as published vectors do.
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { concat, toHex } from '../../src/core/bytes.ts';
import { systemRng } from '../../src/core/rng.ts';
import {
  countOnCurve,
  fieldEach,
  LANES,
  LIMBS,
  mapToCurve,
  mulLimbs,
  sha512Each,
} from '../../src/kernels/curve25519/index.ts';
import type { FieldOp } from '../../src/kernels/curve25519/index.ts';
import { encodeToCurve, expandMessages } from '../../src/protocols/psi/hash-to-curve.ts';
import { randomScalar, x25519Each } from '../../src/protocols/psi/x25519.ts';
import * as ref from './curve-reference.ts';

const { P } = ref;

/** All 255-bit values, with the ones that carry and borrow drawn often. */
const element = fc.oneof(
  fc.bigInt(0n, 2n ** 255n - 1n),
  fc.constantFrom(0n, 1n, 2n, 19n, P - 2n, P - 1n, P, P + 1n, P + 18n, 2n ** 254n),
  fc.nat(254).map((i) => 2n ** BigInt(i) - 1n),
  fc.nat(254).map((i) => P - 2n ** BigInt(i)),
);

const REFERENCE: Record<FieldOp, (a: bigint, b: bigint) => bigint> = {
  add: (a, b) => ref.mod(a + b),
  sub: (a, b) => ref.mod(a - b),
  mul: (a, b) => ref.mod(a * b),
  square: (a) => ref.mod(a * a),
  invert: (a) => ref.invert(a),
  legendre: (a) => ref.legendre(a),
  sumTimesDifference: (a, b) => ref.mod((a + b) * (a - b)),
  squareOfDifference: (a, b) => ref.mod((a - b) ** 2n),
  addMultiple: (a, b) => ref.mod(a + 121665n * b),
};

const packed = (values: readonly bigint[]) => concat(values.map((v) => ref.toLittle(v)));
const unpacked = (bytes: Uint8Array) =>
  Array.from({ length: bytes.length / 32 }, (_, i) =>
    ref.fromLittle(bytes.slice(32 * i, 32 * i + 32)),
  );

describe('field arithmetic', () => {
  const ops = Object.keys(REFERENCE).filter((op) => op !== 'invert') as FieldOp[];
  it.each(ops)('%s is the one of Z/p', (op) => {
    const pair = fc.tuple(element, element);
    const check = (pairs: readonly (readonly [bigint, bigint])[]) => {
      const a = pairs.map(([x]) => x);
      const b = pairs.map(([, y]) => y);
      const want = pairs.map(([x, y]) => REFERENCE[op](x, y));
      expect(unpacked(fieldEach(op, packed(a), packed(b)))).toEqual(want);
    };
    fc.assert(fc.property(fc.array(pair, { minLength: 1, maxLength: 9 }), check), {
      numRuns: op === 'legendre' ? 20 : 200,
    });
  });

  it('inverts many at once', () => {
    const nonZero = element.filter((x) => ref.mod(x) !== 0n);
    const groups = fc
      .integer({ min: 1, max: 4 })
      .chain((k) => fc.array(nonZero, { minLength: 4 * k, maxLength: 4 * k }));
    fc.assert(
      fc.property(groups, (a) => {
        expect(unpacked(fieldEach('invert', packed(a)))).toEqual(a.map(ref.invert));
      }),
      { numRuns: 20 },
    );
  });

  it('survives the largest limbs through long chains', () => {
    // a <- (a - b)(a + b) keeps feeding unreduced-looking values back; 500 steps, four lanes.
    let a = [P - 1n, 2n ** 255n - 1n, 2n ** 254n - 1n, P - 2n];
    const b = [1n, P - 1n, 2n ** 230n - 1n, 2n ** 255n - 20n];
    let bytes = packed(a);
    for (let i = 0; i < 500; i++) {
      bytes = fieldEach(
        'mul',
        fieldEach('sub', bytes, packed(b)),
        fieldEach('add', bytes, packed(b)),
      );
      a = a.map((x, k) => ref.mod((x - b[k]!) * (x + b[k]!)));
    }
    expect(unpacked(bytes)).toEqual(a);
  });
});

describe('limbs at the bounds of assembly/field.ts', () => {
  /** The largest a limb of a sum may be, and of a reduced element. */
  const [sum, reduced] = [9730, 4865];
  const value = (limbs: Int16Array, lane: number) => {
    let total = 0n;
    for (let i = 0; i < LIMBS; i++) {
      total += BigInt(limbs[8 * (i >> 1) + 2 * lane + (i & 1)]!) << BigInt(13 * i);
    }
    return ref.mod(total);
  };
  const check = (a: Int16Array, b?: Int16Array) => {
    const out = mulLimbs(a, b);
    for (let lane = 0; lane < LANES; lane++) {
      const want = ref.mod(value(a, lane) * value(b ?? a, lane));
      expect(value(out, lane)).toBe(want);
    }
    expect(Math.max(...out.map(Math.abs))).toBeLessThanOrEqual(reduced);
  };
  const length = LIMBS * LANES;
  const limbs = fc.oneof(
    fc.int16Array({ min: -sum, max: sum, minLength: length, maxLength: length }),
    fc
      .array(fc.constantFrom(-sum, sum, 0), { minLength: length, maxLength: length })
      .map((some) => Int16Array.from(some)),
  );

  it('products of extreme sums are exact and come out reduced', () => {
    const signs = [-1, 1].flatMap((s) => [-1, 1].map((t) => [s, t] as const));
    for (const [s, t] of signs) {
      const [a, b] = [s, t].map((sign) => new Int16Array(length).fill(sign * sum));
      check(a!, b);
      check(a!);
    }
    fc.assert(fc.property(limbs, limbs, check), { numRuns: 300 });
  });

  it('squares, too', () => {
    fc.assert(
      fc.property(limbs, (a) => check(a)),
      { numRuns: 300 },
    );
  });
});

describe('SHA-512 of many messages', () => {
  it('is the one of node:crypto at every length around a block', () => {
    fc.assert(
      fc.property(
        fc.nat(1).map((k) => new Uint8Array(128 * k).fill(7)),
        fc.nat(140),
        fc.nat(70),
        fc.uint8Array({ maxLength: 140 }),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 3 }),
        (prefix, left, right, suffix, outBytes, n) => {
          const a = Uint8Array.from({ length: n * left }, (_, i) => 3 * i + 1);
          const b = Uint8Array.from({ length: n * right }, (_, i) => 5 * i + 2);
          const messages = {
            prefix,
            a: { data: a, each: left },
            b: { data: b, each: right },
            suffix,
          };
          const want = Array.from({ length: n }, (_, i) => {
            const parts = [
              a.subarray(i * left, i * left + left),
              b.subarray(i * right, i * right + right),
            ];
            return ref.sha512(prefix, ...parts, suffix).subarray(0, outBytes);
          });
          expect(toHex(sha512Each(n, messages, outBytes))).toBe(toHex(concat(want)));
        },
      ),
    );
  });
});

describe('RFC 9380', () => {
  const nu = readVectors('rfc9380/curve25519_XMD_SHA-512_ELL2_NU_.json') as SuiteFile;
  const ro = readVectors('rfc9380/curve25519_XMD_SHA-512_ELL2_RO_.json') as SuiteFile;
  const xmd = readVectors('rfc9380/expand_message_xmd_SHA512_38.json') as ExpanderFile;

  it('appendix K.4: expand_message_xmd, every output of one digest', () => {
    const short = xmd.tests.filter((t) => Number(t.len_in_bytes) <= 64);
    expect(short.length).toBe(5);
    for (const t of short) {
      const data = ref.ascii(t.msg);
      const out = expandMessages(1, { data, each: data.length }, ref.ascii(xmd.DST), 32);
      expect(toHex(out)).toBe(t.uniform_bytes);
    }
  });

  it('J.4.2: message to u to Q, and P after clearing the cofactor', () => {
    expect(nu.vectors.length).toBe(5);
    for (const { msg, u, Q, P: cleared } of nu.vectors) {
      const data = ref.ascii(msg);
      const items = { data, each: data.length };
      const wide = expandMessages(1, items, ref.ascii(nu.dst), 48);
      expect(ref.mod(ref.fromBig(wide))).toBe(BigInt(u[0]!));
      const q = ref.fromLittle(encodeToCurve(1, items, ref.ascii(nu.dst)));
      expect(q).toBe(BigInt(Q!.x));
      expect(ref.double(ref.double(ref.double(q)))).toBe(BigInt(cleared.x));
    }
  });

  it('J.4.1: the map alone, u[0] to Q0 and u[1] to Q1, in one batch', () => {
    const fields = ro.vectors.flatMap((v) => v.u.map((u) => ref.toBig(BigInt(u), 48)));
    const want = ro.vectors.flatMap((v) => [BigInt(v.Q0!.x), BigInt(v.Q1!.x)]);
    expect(want.length).toBe(10);
    expect(unpacked(mapToCurve(concat(fields)))).toEqual(want);
  });

  it('agrees with the RFC in BigInt on any 48 bytes, in batches of any size', () => {
    const wide = fc.oneof(
      fc.bigInt(0n, 2n ** 384n - 1n),
      fc.constantFrom(0n, 1n, P - 1n, P, 2n ** 255n - 1n, 2n ** 255n, 2n ** 384n - 1n, P << 129n),
    );
    fc.assert(
      fc.property(fc.array(wide, { minLength: 1, maxLength: 10 }), (values) => {
        const us = mapToCurve(concat(values.map((v) => ref.toBig(v, 48))));
        expect(unpacked(us)).toEqual(values.map((v) => ref.elligator2(ref.mod(v))));
        // Only zero leaves the curve's symbol at 0: it maps to u = 0.
        expect(countOnCurve(us)).toBe(values.filter((v) => ref.mod(v) !== 0n).length);
      }),
      { numRuns: 30 },
    );
  });

  it('accepts an empty batch', () => {
    expect(mapToCurve(new Uint8Array(0))).toEqual(new Uint8Array(0));
    expect(countOnCurve(new Uint8Array(0))).toBe(0);
  });
});

describe('the check of received points', () => {
  it('is "canonical and u^3 + J u^2 + u a non-zero square"', () => {
    const bytes = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const any = fc.oneof(
      bytes,
      element.map((x) => ref.toLittle(x)),
    );
    const good = (u: Uint8Array) => {
      const value = ref.fromLittle(u);
      return value < P && ref.legendre(ref.curveEquation(value)) === 1n;
    };
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 9 }), (us) => {
        expect(countOnCurve(concat(us))).toBe(us.filter(good).length);
      }),
      { numRuns: 40 },
    );
  });

  it('draws the line of canonical values at p and at bit 255', () => {
    // u = 1 and 9 are on the curve, so that only the encoding can be at fault.
    for (const u of [1n, 9n]) expect(countOnCurve(ref.toLittle(u))).toBe(1);
    const encodings = [P + 1n, P + 9n, 2n ** 255n + 1n, 2n ** 255n + 9n, 2n ** 255n + P + 9n];
    for (const u of encodings) expect(countOnCurve(ref.toLittle(u))).toBe(0);
    const below = Array.from({ length: 64 }, (_, i) => P - 1n - BigInt(i));
    const onCurve = below.filter((u) => ref.legendre(ref.curveEquation(u)) === 1n);
    expect(onCurve.length).toBeGreaterThan(10);
    expect(countOnCurve(packed(below))).toBe(onCurve.length);
  });

  it('and X25519 refuse, of the 518 keys of Wycheproof, those flagged and no others', () => {
    const file = readVectors('wycheproof-x25519/x25519_test.json') as WycheproofFile;
    const tests = file.testGroups.flatMap((g) => g.tests);
    expect(tests.length).toBe(518);
    const idsOf = (some: typeof tests) => some.map((t) => t.tcId);
    const offCurve = tests.filter((t) => countOnCurve(ref.unhex(t.public)) === 0);
    const lowOrder = tests.filter((t) => t.flags.includes('ZeroSharedSecret'));
    const flagged = tests.filter((t) => REFUSED_FLAGS.some((flag) => t.flags.includes(flag)));
    // Some low-order keys are also non-canonical without being flagged so: look at the others here,
    // and at those together with what X25519 says of them.
    const others = (some: typeof tests) => idsOf(some.filter((t) => !lowOrder.includes(t)));
    expect(others(offCurve)).toEqual(others(flagged));
    const scalar = randomScalar(systemRng);
    const refused = tests.filter(
      (t) => offCurve.includes(t) || x25519Each(scalar, ref.unhex(t.public)).zeros === 1,
    );
    expect(idsOf(refused)).toEqual(
      idsOf(tests.filter((t) => [...flagged, ...lowOrder].includes(t))),
    );
  });
});

const REFUSED_FLAGS = ['Twist', 'NonCanonicalPublic'];

interface Point {
  readonly x: string;
}

interface SuiteFile {
  readonly dst: string;
  readonly vectors: readonly {
    readonly msg: string;
    readonly u: readonly string[];
    readonly P: Point;
    readonly Q?: Point;
    readonly Q0?: Point;
    readonly Q1?: Point;
  }[];
}

interface ExpanderFile {
  readonly DST: string;
  readonly tests: readonly {
    readonly msg: string;
    readonly len_in_bytes: string;
    readonly uniform_bytes: string;
  }[];
}

interface WycheproofFile {
  readonly testGroups: readonly {
    readonly tests: readonly {
      readonly tcId: number;
      readonly public: string;
      readonly flags: readonly string[];
    }[];
  }[];
}

function readVectors(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../vectors/${name}`, import.meta.url), 'utf8'));
}
