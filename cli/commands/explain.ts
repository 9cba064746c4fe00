import { Option, type Command } from 'commander';
import { explainJob, type ExplainFormat } from '../../jobs/explain/explain.ts';
import { loadCheckedJob } from '../load-checked-job.ts';

/** `sluice explain`: the plan of a job, without running it. */
export function addExplainCommand(program: Command): void {
  program
    .command('explain')
    .description('show the plan: operators, their state and its size, shared scans, what the model is given')
    .argument('<job>', 'job file')
    .addOption(new Option('--format <format>').choices(['text', 'mermaid', 'json']).default('text'))
    .action(async (path: string, { format }: { readonly format: ExplainFormat }) => {
      process.stdout.write(`${explainJob(await loadCheckedJob(path), format)}\n`);
    });
}
