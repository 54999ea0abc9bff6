// Goal: noise thresholds are the correctly rounded integers, the sampler's law is the exact discrete
// Laplace, and tau, B and half-widths are the ones of the published tables.
import fc from 'fast-check';
import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  calibrate,
  discreteLaplace,
  halfWidth,
  noiseRecord,
  opensGroup,
  promiseOf,
} from '../../src/dp/index.ts';
import { expNegative } from '../../src/dp/exp.ts';
import { parseDecimal, rational } from '../../src/core/rational.ts';

/** All outcomes of the two's-complement sampler with exact coins, as numerators over one total. */
function sampledLaw(aNum: bigint, aDen: bigint, bits: number): Map<number, bigint> {
  const law = new Map<number, bigint>();
  const heads = Array.from(
    { length: bits },
    (_, j) => [aNum ** (1n << BigInt(j)), aDen ** (1n << BigInt(j))] as const,
  );
  for (let g = 0; g < 1 << bits; g += 1) {
    let weight = 1n;
    heads.forEach(([n, d], j) => (weight *= (g >> j) & 1 ? n : d));
    law.set(g, (law.get(g) ?? 0n) + weight * aDen);
    law.set(-1 - g, (law.get(-1 - g) ?? 0n) + weight * aNum);
  }
  return law;
}

describe('the sampler law (privacy.md §7 test 1)', () => {
  it.each([
    [1n, 5n],
    [1n, 2n],
    [2n, 3n],
    [9n, 10n],
    [99n, 100n],
  ])('a=%s/%s: P[x] is proportional to a^|x|', (n, d) => {
    for (let bits = 1; bits <= 5; bits += 1) {
      const law = sampledLaw(n, d, bits);
      expect(law.size).toBe(2 << bits);
      for (const [x, weight] of law) {
        const m = BigInt(Math.abs(x));
        expect(weight * d ** m).toBe(law.get(0)! * n ** m);
      }
    }
  });
});

describe('thresholds (privacy.md §7 test 2)', () => {
  const at = (num: bigint, den: bigint, lambda = 64): readonly bigint[] =>
    discreteLaplace(rational(num, den), 1n, lambda).thresholds;

  it('equals the golden vectors of 2000-bit arithmetic', () => {
    expect(at(1n, 1n).slice(0, 2)).toEqual([0x44d9585152ea1936n, 0x1e84152bac31aeaan]);
    expect(at(1n, 10n)[0]).toBe(0x799af6c6b28241e8n);
    expect(at(1n, 1000n)[0]).toBe(0x7fef9db243f665ben);
    expect(at(1n, 3n)[0]).toBe(0x6adcadcf9ed1eb35n);
  });

  it('agrees with a second, independent computation on random rates', () => {
    fc.assert(
      fc.property(fc.bigInt(1n, 1_000_000n), fc.bigInt(1n, 1_000_000n), (num, den) => {
        const law = discreteLaplace(rational(num, 50n * den), 1n, 64);
        const j = law.bits - 1;
        expect(law.thresholds[0]).toBe(reference(num, 50n * den));
        expect(law.thresholds[j]).toBe(reference(num << BigInt(j), 50n * den));
      }),
      { numRuns: 100 },
    );
  });

  it('encloses e^-x: the doubles lie inside', () => {
    for (const x of [0, 0.5, 1, 3.25, 40]) {
      const e = expNegative(parseDecimal(x.toString()), 80);
      const scale = 2 ** 80;
      expect(Number(e.low) / scale).toBeLessThanOrEqual(Math.exp(-x) * (1 + 1e-15));
      expect(Number(e.high) / scale).toBeGreaterThanOrEqual(Math.exp(-x) * (1 - 1e-15));
      expect(e.high - e.low).toBeLessThan(8n);
    }
  });
});

/** round(2^64/(1+e^(num/den))) by e^(num/den) from e^1's continued powers: 1/(sum of x^k/k!). */
function reference(num: bigint, den: bigint): bigint {
  const one = 1n << 700n;
  const whole = num / den;
  const series = (x: bigint): bigint => {
    let term = one;
    let sum = one;
    for (let k = 1n; term > 0n; k += 1n) {
      term = (term * x) / one / k;
      sum += term;
    }
    return sum;
  };
  let e = series(((num - whole * den) * one) / den);
  const base = series(one);
  for (let i = 0n; i < whole; i += 1n) e = (e * base) / one;
  const scaled = ((one << 65n) / (one + e)) * 1n;
  return (scaled + 1n) >> 1n;
}

describe('calibration', () => {
  const dp = (epsilon: string, delta: string, maxPartitions: number) => ({
    selection: 'pre_threshold' as const,
    minUsers: 50,
    confidenceLevel: '0.95',
    differential: { epsilon, delta, maxPartitions, thresholdBits: 64 },
    measures: [{ epsilon, sensitivity: `${maxPartitions}` }],
  });

  it('gives the tau of privacy.md §3', () => {
    expect(calibrate(dp('1', '1/1000000', 1)).tau).toBe(15n);
    expect(calibrate(dp('1', '1/1000000', 3)).tau).toBe(45n);
    expect(calibrate(dp('1/2', '1/1000000', 1)).tau).toBe(28n);
  });

  it("gives the k' of privacy.md §3 to a noisy selection, and takes no delta for it", () => {
    const noisy = (epsilon: string, belowK: string, maxPartitions = 1) =>
      calibrate({ ...dp(epsilon, '1/1000000', maxPartitions), selection: 'noisy', belowK });
    // k' = k-1 + ⌈t·ln(1/(beta(1+a)))⌉, by a second computation in doubles.
    for (const [epsilon, beta, l0] of [
      [1, 1e-6, 1],
      [0.5, 1e-6, 1],
      [1, 1e-3, 3],
      [2, 0.01, 2],
    ] as const) {
      const t = l0 / epsilon;
      const m = Math.ceil(t * Math.log(1 / (beta * (1 + Math.exp(-1 / t)))));
      const { tau, delta } = noisy(
        epsilon === 0.5 ? '1/2' : `${epsilon}`,
        `1/${Math.round(1 / beta)}`,
        l0,
      );
      expect(tau).toBe(BigInt(m));
      expect(delta.selection).toEqual({ num: 0n, den: 1n });
    }
    expect(() => noisy('1', `1/${10n ** 60n}`)).toThrow(
      expect.objectContaining({ code: 'POLICY_OUT_OF_RANGE' }) as Error,
    );
  });

  it('opens by the noisy count alone, by the exact one alone, or by both', () => {
    const opened = (selection: 'exact_k' | 'pre_threshold' | 'noisy') => {
      const rule = { ...dp('1', '1/1000000', 1), selection, belowK: '1/1000000' };
      const c = calibrate(rule);
      return [
        [0n, 100n],
        [49n, 63n],
        [50n, 62n],
        [50n, 63n],
        [50n, 64n],
        [200n, 10n],
      ].map(([users, shown]) => opensGroup(c, users!, shown!));
    };
    expect(opened('exact_k')).toEqual([false, false, true, true, true, true]);
    expect(opened('pre_threshold')).toEqual([false, false, false, false, true, false]);
    expect(opened('noisy')).toEqual([true, true, false, true, true, false]);
  });

  it('says what each rule promises and what not', () => {
    const words = (selection: 'exact_k' | 'pre_threshold' | 'noisy') =>
      promiseOf({ ...dp('1', '1/1000000', 1), selection, belowK: '1/1000' }).join('\n');
    expect(words('exact_k')).toContain('epsilon excludes which groups opened');
    expect(words('pre_threshold')).toContain('none with fewer than 50 distinct people opens');
    expect(words('noisy')).toContain('opens with a chance of at most 1/1000');
    expect(words('noisy')).not.toContain('none with fewer');
    expect(promiseOf({ ...dp('1', '1', 1), differential: null }).join()).toContain('exact');
  });

  it('gives the B and the half-widths of privacy.md §1.5', () => {
    const row = (epsilon: string, sensitivity: bigint): [number, bigint] => {
      const law = discreteLaplace(parseDecimal(epsilon), sensitivity, 64);
      return [law.bits, halfWidth(law, parseDecimal('0.95'))];
    };
    expect(row('1', 1n)).toEqual([6, 3n]);
    expect(row('0.1', 1n)).toEqual([9, 30n]);
    expect(row('1', 100n)[0]).toBe(13);
    expect(row('1', 10_000n)[0]).toBe(19);
    expect(row('1', 1_000_000n)[0]).toBe(26);
  });

  it('keeps the sum of the delta parts within the declared delta', () => {
    const c = calibrate(dp('1', '1/1000000', 3));
    const sum = [c.delta.selection, c.delta.truncation, c.delta.quantisation];
    expect(sum.reduce((s, d) => s + Number(d.num) / Number(d.den), 0)).toBeLessThanOrEqual(1e-6);
  });

  it('refuses a delta that no threshold reaches', () => {
    expect(() => calibrate(dp('1', '1/10000000000000000000000000', 1))).toThrow(
      expect.objectContaining({ code: 'POLICY_OUT_OF_RANGE' }) as Error,
    );
  });

  it('pins the record of a receipt', () => {
    const rule = dp('1', '1/1000000', 1);
    expect(noiseRecord(rule, calibrate(rule))).toMatchInlineSnapshot(`
      {
        "below_k": null,
        "delta_quantisation": "7/9223372036854775808",
        "delta_selection": "96284447645831564652172629106571441051942192818356008017762703954519713/158389618318013858337482587089288839868257700522151553784275406084338507832045",
        "delta_truncation": "1/18446744073709551616",
        "measures": [
          {
            "bits": 6,
            "epsilon": "1",
            "half_width": "3",
            "sensitivity": "1",
          },
        ],
        "mechanism": "discrete_laplace",
        "min_users": 50,
        "promise": [
          "values: within epsilon 1, delta 1/1000000, for adding or removing one person with all of that person's rows",
          "groups: none with fewer than 50 distinct people opens; which ones open is within epsilon 1, delta 1/1000000",
          "not covered: declared table sizes, that the query ran, when, and whether it was aborted",
          "against: computationally bounded parties that follow the protocol, all but one in league",
        ],
        "selection": "pre_threshold",
        "tau": "15",
        "thresholds_digest": "6e0c3134a0c4faa8c054afd5ff919c9bd841e8e4116a743b46460bf6fde6c7f0",
      }
    `);
  });
});

it('the dp folder uses no floating point (privacy.md §7 test 14)', () => {
  const folder = new URL('../../src/dp/', import.meta.url);
  for (const file of readdirSync(folder).filter((f) => f.endsWith('.ts'))) {
    const code = readFileSync(new URL(file, folder), 'utf8').replace(
      /\/\*[\s\S]*?\*\/|\/\/.*/g,
      '',
    );
    expect(code, file).not.toMatch(/Math\.|parseFloat|Number\(|\d\.\d/);
  }
});
