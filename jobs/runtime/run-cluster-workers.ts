import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { SluiceError } from '../../engine/error.ts';
import { allEnded } from '../../engine/execution/all-ended.ts';
import type { Logger } from '../../engine/observability/logger.ts';
import type { Clock } from '../../engine/time/clock.ts';
import { sumFigures, type RunFigures } from './cluster/run-figures.ts';

/** How to start workers, and how many. */
export interface ClusterWorkersOptions {
  readonly count: number;
  /** The program and its arguments; each worker is given what `argsOf` adds. Its last line of output must be its figures. */
  readonly program: string;
  readonly args: readonly string[];
  /** The arguments by which a worker learns which one it is. */
  readonly argsOf: (worker: number) => readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly clock: Clock;
}

const firstDelayMs = 1_000;
const longestDelayMs = 30_000;
/** A worker that lived for so long did not die of what it was started with. */
const soundAfterMs = 60_000;
/** The command's exit code for an error of the world, which a restart would only meet again. */
const namedError = 1;

interface WorkerEnd {
  readonly code: number | null;
  readonly signal: string | null;
  readonly figures: RunFigures | null;
}

/**
 * Runs workers of one job as processes of their own: the client that they use is one a process, and so is a core's worth of computing. One that dies (a crash, a
 * kill, out of memory) is started again after a pause that doubles, and that is said; its partitions are worked on by the others meanwhile. One that
 * ends with a named error ends them all, since it would meet that again.
 *
 * @param stopped passed on to every worker; then they are waited for.
 * @returns the sum over the workers that ended in good order; what one that was killed had done is not in it.
 * @throws {SluiceError} `WORKER_FAILED`; the error itself has been said by the worker.
 */
export async function runClusterWorkers(options: ClusterWorkersOptions, stopped: AbortSignal): Promise<RunFigures> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  stopped.addEventListener('abort', end, { once: true });
  if (stopped.aborted) end();
  const figures: RunFigures[] = [];
  const workers = Array.from({ length: options.count }, async (_, index) => {
    try {
      await keepRunning(options, index + 1, ended.signal, figures);
    } catch (error) {
      end();
      throw error;
    }
  });
  await allEnded(workers);
  return sumFigures(figures);
}

async function keepRunning(
  options: ClusterWorkersOptions,
  worker: number,
  ended: AbortSignal,
  figures: RunFigures[],
): Promise<void> {
  const { logger, clock } = options;
  for (let delayMs = firstDelayMs; !ended.aborted; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    const startedMs = clock.monotonicMs();
    const end = await runWorker(options, worker, ended);
    if (end.figures !== null) figures.push(end.figures);
    // One that was told to stop before it could hear of it had not begun.
    if (end.code === 0 || (ended.aborted && end.signal === 'SIGTERM')) return;
    const how = end.signal === null ? `exit code ${end.code ?? '?'}` : end.signal;
    if (end.code === namedError || ended.aborted) {
      throw new SluiceError(
        'WORKER_FAILED',
        `worker ${worker} must end in good order; it ended by ${how}. What it said last, above, says why; the other workers have handed over and ended`,
        { fields: { worker } },
      );
    }
    if (clock.monotonicMs() - startedMs > soundAfterMs) delayMs = firstDelayMs;
    logger.warn(`worker ${worker} has died by ${how} and is started again`, { worker, delayMs });
    await clock.sleep(delayMs, ended);
  }
}

async function runWorker(
  { program, args, argsOf, environment }: ClusterWorkersOptions,
  worker: number,
  ended: AbortSignal,
): Promise<WorkerEnd> {
  // In a process group of its own, so that Ctrl-C comes to it once, through us; the channel tells it when we are gone.
  const child: ChildProcess = spawn(program, [...args, ...argsOf(worker)], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    env: environment,
    detached: true,
  });
  const stop = (): void => {
    child.kill('SIGTERM');
  };
  ended.addEventListener('abort', stop, { once: true });
  if (ended.aborted) stop();
  let lastLines = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    lastLines = (lastLines + chunk.toString()).slice(-longestFigures);
  });
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
    return { code, signal, figures: code === 0 ? lastFigures(lastLines) : null };
  } finally {
    ended.removeEventListener('abort', stop);
  }
}

const longestFigures = 4_096;

function lastFigures(output: string): RunFigures | null {
  const line = output.trimEnd().split('\n').at(-1) ?? '';
  return line.startsWith('{') ? (JSON.parse(line) as RunFigures) : null;
}
