import type { Command } from 'commander';
import pc from 'picocolors';
import { loadJob } from '../../jobs/load-job.ts';
import { loadSinkJob } from '../../jobs/sink-job.ts';
import { isTestFile, loadTestFile } from '../../jobs/test-files/load-test-file.ts';
import { refuse, type DiagnosticFormat } from '../load-checked-job.ts';

/** `sluice validate`: checks job files, with their features and schemas, and says everything that is wrong at once. */
export function addValidateCommand(program: Command): void {
  program
    .command('validate')
    .description('check job files and everything they name; print every problem with its place')
    .argument('<job...>', 'job files, sink job files and test files (NAME.test.yaml)')
    .option('--format <format>', 'text or json', 'text')
    .action(async (paths: string[], { format }: { readonly format: DiagnosticFormat }) => {
      for (const path of paths) {
        const what = isTestFile(path) ? await checkTestFile(path, format) : await checkJobFile(path, format);
        process.stdout.write(format === 'json' ? '[]\n' : `${pc.green('ok')} ${path}: ${what}\n`);
      }
    });
}

/** Checks a job's file, or a sink job's, which is known by what it holds. @returns what it is, in a few words. */
async function checkJobFile(path: string, format: DiagnosticFormat): Promise<string> {
  const outcome = await loadJob(path);
  if (outcome.ok) return `job ${outcome.job.name}, ${outcome.job.features.columns.length} features`;
  if (!outcome.diagnostics.some(({ code }) => code === 'JOB_IS_SINK')) return refuse(path, outcome, format);
  const sink = await loadSinkJob(path);
  if (!sink.ok) return refuse(path, sink, format);
  return `sink job ${sink.job.name}, ${sink.job.copies.length} topics; \`sluice sink\` runs it`;
}

/** Checks a test file and the job that it tests. @returns what it is, in a few words. */
async function checkTestFile(path: string, format: DiagnosticFormat): Promise<string> {
  const outcome = await loadTestFile(path);
  if (!outcome.ok) return refuse(path, outcome, format);
  const { tests, job } = outcome.testFile;
  return `${tests.length} tests of job ${job.name}; \`sluice test\` runs them`;
}
