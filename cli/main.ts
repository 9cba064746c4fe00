import { Command } from 'commander';
import { addSimulateCommand } from './commands/simulate.ts';
import { reportFailure } from './report-failure.ts';

/** The `sluice` command: each subcommand reads its options, calls one function of a room below, and prints what it returns. */
const program = new Command('sluice')
  .description('Rolling features on a stream: declared once, answered at once, right after any crash.')
  .showHelpAfterError('(sluice --help lists the commands)')
  .enablePositionalOptions();

addSimulateCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
