import { execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { SluiceError } from '../../engine/error.ts';
import { systemClock } from '../../engine/time/clock.ts';

/** Whose end ends the process: that of the process that launched it (tests), or only its own (`npm run services -- up`). */
export type Lifetime = 'caller' | 'own';

/** A process of ours, named by its id and by when it started, so that a later process of the same id is never taken for it. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

/** What to run and where its words go; `logFile` is appended to. */
export interface Launch {
  readonly program: string;
  readonly args: readonly string[];
  readonly logFile: string;
  readonly lifetime: Lifetime;
}

const pollMs = 20;

/** When the process started, in the system's own words; empty where there is none of that id, or where it has ended and waits to be reaped. */
function startTimeOf(pid: number): string {
  try {
    if (process.platform !== 'linux') {
      const [state = 'Z', ...started] = execFileSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
        encoding: 'utf8',
      })
        .trim()
        .split(/\s+/);
      return state.startsWith('Z') ? '' : started.join(' ');
    }
    // "pid (name, which may hold spaces) state …", and the start, in ticks since boot, is the 22nd field.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? '' : (fields[19] ?? '');
  } catch {
    return '';
  }
}

/** Whether that very process still runs. */
export function isRunning(process: ProcessIdentity): boolean {
  return process.startTime !== '' && startTimeOf(process.pid) === process.startTime;
}

/**
 * Starts a program without a shell.
 *
 * With lifetime `caller` a watcher holds one end of a pipe from us: when this process goes, however it goes (SIGKILL too), the pipe
 * closes and the watcher kills the service. No suite leaves a broker behind.
 *
 * @throws {SluiceError} `SERVICE_NOT_STARTED` when the program cannot be run.
 */
export async function launch({ program, args, logFile, lifetime }: Launch): Promise<ProcessIdentity> {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, { detached: true, stdio: ['ignore', log, log] });
  closeSync(log);
  const { pid } = await new Promise<{ pid: number }>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new SluiceError('SERVICE_NOT_STARTED', `could not start ${program}: ${error.message}`, { cause: error })),
    );
    child.once('spawn', () => resolve({ pid: child.pid ?? 0 }));
  });
  child.unref();
  if (lifetime === 'caller') {
    const watcher = spawn('sh', ['-c', 'cat >/dev/null; kill -KILL "$0"', String(pid)], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    watcher.unref();
    if (watcher.stdin instanceof Socket) watcher.stdin.unref();
    child.once('exit', () => watcher.kill('SIGKILL'));
  }
  return { pid, startTime: startTimeOf(pid) };
}

/** Sends a signal to the process if it is still that one. */
function signal(process_: ProcessIdentity, name: NodeJS.Signals): void {
  if (isRunning(process_)) process.kill(process_.pid, name);
}

/** Asks the process to end, insists after `patienceMs`, and resolves when it is gone. */
export async function end(process_: ProcessIdentity, patienceMs: number): Promise<void> {
  signal(process_, 'SIGCONT');
  signal(process_, 'SIGTERM');
  if (await waitUntil(() => !isRunning(process_), patienceMs)) return;
  await kill(process_);
}

/** Kills the process as a crash would, and resolves when it is gone. */
export async function kill(process_: ProcessIdentity): Promise<void> {
  signal(process_, 'SIGKILL');
  await waitUntil(() => !isRunning(process_), 10_000);
}

/** Tries `condition` every 20 ms until it holds or `timeoutMs` have passed, and says which. */
export async function waitUntil(condition: () => boolean | Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadlineMs = systemClock.monotonicMs() + timeoutMs;
  while (!(await condition())) {
    if (systemClock.monotonicMs() > deadlineMs) return false;
    await systemClock.sleep(pollMs);
  }
  return true;
}

/** The size of a log file; 0 where there is none yet. */
export function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

/** What was written to a log file since it had `startSize` bytes. */
export function wordsSince(file: string, startSize: number): string {
  return readFileSync(file).subarray(startSize).toString();
}

/** What one can do to a running service: the part that Kafka and Redis share. */
export interface RunningService {
  readonly process: ProcessIdentity;
  readonly logFile: string;
  /** Ends it in order: what it holds is on disk, and a start on the same folder goes on from there. */
  stop(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Stops it from running, as a long pause of the machine would, until `thaw`. */
  freeze(): void;
  thaw(): void;
}

/** The controls of a process that was launched; `stop` kills it where it has not ended by itself within `stopPatienceMs`. */
export function runningService(process_: ProcessIdentity, logFile: string, stopPatienceMs: number): RunningService {
  return {
    process: process_,
    logFile,
    stop: () => end(process_, stopPatienceMs),
    kill: () => kill(process_),
    freeze: () => signal(process_, 'SIGSTOP'),
    thaw: () => signal(process_, 'SIGCONT'),
  };
}
