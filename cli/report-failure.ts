import pc from 'picocolors';
import { SluiceError } from '../engine/error.ts';

/** Says on standard error what went wrong, and gives the exit code: 1 for an error of the world, 70 for a bug of ours (with its stack). */
export function reportFailure(error: unknown): number {
  if (error instanceof SluiceError) {
    process.stderr.write(`${pc.red('error')} ${pc.bold(error.code)}: ${error.message}\n`);
    return 1;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  process.stderr.write(
    `${pc.red('bug')} this should not have happened; please report it with what follows\n${stack}\n`,
  );
  return 70;
}
