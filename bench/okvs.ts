// RB-OKVS encode and decode, seed expansion included, OPRF not. `n` keys: three per user of a join.
import { equalBytes } from '../src/core/bytes.ts';
import { systemRng } from '../src/core/rng.ts';
import { okvsDecode, okvsEncode, okvsShape, type Okvs } from '../src/kernels/okvs/index.ts';
import { wrong } from './kit/check.ts';
import { benchLocal } from './kit/local.ts';

benchLocal({
  name: 'okvs',
  unit: 'key',
  n: [3 * 2 ** 12, 3 * 2 ** 14, 3 * 2 ** 16],
  cases: (n) =>
    [8, 24, 40].flatMap((valueBytes) => {
      const shape = okvsShape(n, valueBytes);
      const [keys, values] = [systemRng(16 * n), systemRng(valueBytes * n)];
      const table = okvsEncode(shape, keys, values, systemRng);
      const more = () => ({ value_bytes: valueBytes, table_bytes: shape.rows * valueBytes });
      const checkDecoded = (decoded: unknown): void => {
        if (!equalBytes(decoded as Uint8Array, values)) wrong('a value did not come back');
      };
      return [
        {
          name: 'encode',
          n,
          work: () => okvsEncode(shape, keys, values, systemRng),
          check: (made: unknown) => checkDecoded(okvsDecode(shape, made as Okvs, keys, n)),
          more,
        },
        {
          name: 'decode',
          n,
          work: () => okvsDecode(shape, table, keys, n),
          check: checkDecoded,
          more,
        },
      ];
    }),
});
