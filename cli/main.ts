import { Command } from 'commander';
import { addDemoCommand } from './commands/demo.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addEvaluateCommand } from './commands/evaluate.ts';
import { addExplainCommand } from './commands/explain.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addReplayCommand } from './commands/replay.ts';
import { addRunCommand } from './commands/run.ts';
import { addSavepointCommand } from './commands/savepoint.ts';
import { addSqlCommand } from './commands/sql.ts';
import { addSimulateCommand } from './commands/simulate.ts';
import { addSinkCommand } from './commands/sink.ts';
import { addStateCommand } from './commands/state.ts';
import { addTestCommand } from './commands/test.ts';
import { addTopicCommand } from './commands/topic.ts';
import { addTrainCommand } from './commands/train.ts';
import { addValidateCommand } from './commands/validate.ts';
import { reportFailure } from './report-failure.ts';

/** The `sluice` command: each subcommand reads its options, calls one function of a room below, and prints what it returns. */
const program = new Command('sluice')
  .description('Rolling features on a stream: declared once, answered at once, right after any crash.')
  .showHelpAfterError('(sluice --help lists the commands)');

addDemoCommand(program);
addValidateCommand(program);
addExplainCommand(program);
addPlanCommand(program);
addTestCommand(program);
addDoctorCommand(program);
addRunCommand(program);
addReplayCommand(program);
addTrainCommand(program);
addEvaluateCommand(program);
addSinkCommand(program);
addMigrateCommand(program);
addTopicCommand(program);
addSqlCommand(program);
addStateCommand(program);
addSavepointCommand(program);
addSimulateCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = reportFailure(error);
}
