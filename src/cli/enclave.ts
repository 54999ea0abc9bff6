import { Command, Option } from 'commander';
import { ParleyError } from '../core/errors.ts';
import { SIMULATION_NOTICE } from '../tee-adapter/simulated.ts';
import { openLog } from './log.ts';
import { print, tell, withErrors } from './output.ts';
import { untilSignal } from './signals.ts';

interface EnclaveFlags {
  readonly socket: string;
  readonly attester: 'simulated' | 'amd-sev-snp' | 'intel-tdx' | 'aws-nitro';
  readonly key?: string;
  readonly measurement?: string;
  readonly helper?: string;
  readonly tdxCollateral?: string;
}

/** `parley enclave`: the host that starts a fresh enclave process for every run. */
export function enclaveCommand(): Command {
  return new Command('enclave')
    .description(
      'run enclaves for a coordinator: a fresh process for every query that asks for one, gone with it.\n' +
        'Whoever runs this carries sealed bytes. Prints one line of JSON when it is ready.',
    )
    .requiredOption('--socket <path>', 'unix socket to listen on, for parley coordinator --enclave')
    .addOption(
      new Option('--attester <type>', 'what evidence the enclaves make')
        .choices(['simulated', 'amd-sev-snp', 'intel-tdx', 'aws-nitro'])
        .makeOptionMandatory(),
    )
    .option('--key <file>', 'simulated: signing key of the statements (parley keygen simulated)')
    .option('--measurement <hex>', 'simulated: the measurement they state, 32 bytes')
    .option('--helper <file>', 'aws-nitro: the program that asks /dev/nsm')
    .option(
      '--tdx-collateral <file>',
      "intel-tdx: Intel's signed collateral for this platform (docs/tee.md); read for every run",
    )
    .action((flags: EnclaveFlags) =>
      withErrors(true, async () => {
        const attester = attesterArguments(flags);
        const log = openLog('enclave');
        const { socket } = flags;
        const { currentCollateral, superviseEnclaves } =
          await import('../tee-adapter/host/index.ts');
        const { tdxCollateral: file = '' } = flags;
        const collateral = () => currentCollateral(file, { nowMs: Date.now() });
        const tdx = flags.attester === 'intel-tdx';
        // A file that will not do is refused now, not with the first query.
        if (tdx) await collateral();
        const given = tdx ? { collateral } : {};
        const supervisor = await superviseEnclaves({ socket, attester, log, ...given });
        if (flags.attester === 'simulated') tell(SIMULATION_NOTICE);
        const notice = flags.attester === 'simulated' ? { notice: SIMULATION_NOTICE } : {};
        const fields = { socket, attester: flags.attester, ...notice };
        print(JSON.stringify({ event: 'ready', role: 'enclave', ...fields }));
        await untilSignal();
        await supervisor.close();
      }),
    );
}

/** @throws ParleyError BAD_ARGUMENT when the attester lacks what it needs. */
function attesterArguments(flags: EnclaveFlags): string[] {
  const { attester, key, measurement, helper, tdxCollateral } = flags;
  if ((attester === 'intel-tdx') !== (tdxCollateral !== undefined)) {
    throw new ParleyError('BAD_ARGUMENT', 'intel-tdx, and it alone, needs --tdx-collateral');
  }
  if (attester === 'amd-sev-snp' || attester === 'intel-tdx') return [attester];
  if (attester === 'aws-nitro') {
    if (helper === undefined) throw new ParleyError('BAD_ARGUMENT', 'aws-nitro needs --helper');
    return [attester, helper];
  }
  if (key === undefined || !/^[0-9a-f]{64}$/.test(measurement ?? '')) {
    throw new ParleyError('BAD_ARGUMENT', 'simulated needs --key and --measurement, 64 hex digits');
  }
  return [attester, key, measurement!];
}
