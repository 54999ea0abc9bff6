import { Command, CommanderError } from 'commander';
import { approveCommand } from './approve.ts';
import { auditCommand } from './audit.ts';
import { coordinatorCommand } from './coordinator.ts';
import { dataCommand } from './data.ts';
import { demoCommand } from './demo.ts';
import { enclaveCommand } from './enclave.ts';
import { explainCommand } from './explain.ts';
import { keygenCommand } from './keygen.ts';
import { ledgerCommand } from './ledger.ts';
import { EXIT_USAGE } from './output.ts';
import { partyCommand } from './party.ts';
import { policyCommand } from './policy.ts';
import { prepareCommand } from './prepare.ts';
import { queryCommand } from './query.ts';
import { sandboxCommand } from './sandbox.ts';
import { templateCommand } from './template.ts';
import { verifyCommand } from './verify.ts';

const VERSION = '0.1.0';

const program = new Command('parley')
  .description(
    "SQL over several companies' customer data with no clean-room operator to trust.\n\n" +
      'Try it:        parley sandbox examples/shopgood-newsnow --query "SELECT ..."\n' +
      'See the story: parley demo',
  )
  .version(VERSION)
  .showHelpAfterError('(parley COMMAND --help shows what a command takes)')
  .exitOverride()
  .addCommand(sandboxCommand())
  .addCommand(demoCommand())
  .addCommand(keygenCommand())
  .addCommand(policyCommand())
  .addCommand(dataCommand())
  .addCommand(partyCommand())
  .addCommand(coordinatorCommand())
  .addCommand(enclaveCommand())
  .addCommand(prepareCommand())
  .addCommand(queryCommand())
  .addCommand(verifyCommand())
  .addCommand(explainCommand())
  .addCommand(templateCommand())
  .addCommand(approveCommand())
  .addCommand(auditCommand())
  .addCommand(ledgerCommand())
  .addHelpText(
    'after',
    '\nExit codes: 0 answered, 2 refused (policy or SQL), 3 failed (a fault), 64 wrong usage.\n' +
      'Errors go to stderr; with --format json they are one JSON object with a stable code on stdout.',
  );

for (const command of program.commands) {
  command.copyInheritedSettings(program);
  for (const sub of command.commands) sub.copyInheritedSettings(program);
}

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (!(error instanceof CommanderError)) throw error;
  process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
}
