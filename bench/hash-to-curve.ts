// The parts of one exponentiation of the ECDH join: expand_message_xmd, hash to the curve, X25519;
// CPU time of one thread, beside `openssl speed ecdhx25519` in the same run.
import { parseArgs } from 'node:util';
import { reportCurve } from './kit/curve.ts';
import { openReport } from './kit/report.ts';

const { values } = parseArgs({
  options: { out: { type: 'string' }, json: { type: 'boolean', default: false } },
});
reportCurve(openReport({ bench: 'hash-to-curve', json: values.json, out: values.out }));
