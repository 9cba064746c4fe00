import type { Command } from 'commander';
import pc from 'picocolors';
import { loadCheckedJob, type DiagnosticFormat } from '../load-checked-job.ts';

/** `sluice validate`: checks job files, with their features and schemas, and says everything that is wrong at once. */
export function addValidateCommand(program: Command): void {
  program
    .command('validate')
    .description('check job files and everything they name; print every problem with its place')
    .argument('<job...>', 'job files')
    .option('--format <format>', 'text or json', 'text')
    .action(async (paths: string[], { format }: { readonly format: DiagnosticFormat }) => {
      for (const path of paths) {
        const job = await loadCheckedJob(path, format);
        if (format === 'json') process.stdout.write('[]\n');
        else
          process.stdout.write(`${pc.green('ok')} ${path}: job ${job.name}, ${job.features.columns.length} features\n`);
      }
    });
}
