import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import { diagnosticsToJson, renderDiagnostics, type SourceTexts } from '../engine/plan/render-diagnostics.ts';
import { SluiceError } from '../engine/error.ts';
import type { CheckedJob } from '../jobs/checked-job.ts';
import { loadJob } from '../jobs/load-job.ts';

/** How problems in a job file are printed. */
export type DiagnosticFormat = 'text' | 'json';

/**
 * Loads a job for a command that needs a sound one: prints every problem in it, with its place, and ends the command.
 *
 * @throws {SluiceError} `JOB_INVALID` with the number of problems, after they were printed.
 */
export async function loadCheckedJob(path: string, format: DiagnosticFormat = 'text'): Promise<CheckedJob> {
  const outcome = await loadJob(path);
  return outcome.ok ? outcome.job : refuse(path, outcome, format);
}

/** What is wrong with a file. */
interface Unsound {
  readonly diagnostics: readonly Diagnostic[];
  readonly sources: SourceTexts;
}

/**
 * Prints every problem in a file and ends the command. Called with what `loadJob`, `loadSinkJob` or `loadTestFile` found.
 *
 * @throws {SluiceError} `JOB_INVALID`, always.
 */
export function refuse(path: string, { diagnostics, sources }: Unsound, format: DiagnosticFormat = 'text'): never {
  if (format === 'json') process.stdout.write(`${diagnosticsToJson(diagnostics)}\n`);
  else process.stderr.write(renderDiagnostics(diagnostics, sources));
  const count = diagnostics.length;
  throw new SluiceError(
    'JOB_INVALID',
    `${path} must be sound before anything starts; it has ${count} problem${count === 1 ? '' : 's'}`,
  );
}
