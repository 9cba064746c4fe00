import { SluiceError } from '../../error.ts';
import type { StateReader, StateScanStep, StateWrite } from '../state-store.ts';

/** What a claim found: the state as it stands, and the epoch under which this owner may write it. */
export interface TaskClaim {
  readonly epoch: number;
  /** The offset that the state reflects; `null` where nothing was ever written. */
  readonly offset: number | null;
  /** What was written beside that offset; `null` where nothing was. */
  readonly metadata: string | null;
}

/** One step of a task's state, from the offset it stands at to `to`, with absolute values of the keys that changed. */
export interface TaskStateWrite {
  readonly to: number;
  readonly metadata: string;
  readonly writes: readonly StateWrite[];
}

/**
 * What became of a write. `ok`: applied. `already`: it had been applied before, by the same command sent twice. `mismatch`: the store
 * does not stand where this owner left it (it went back, or was emptied), and nothing was applied. `fenced`: another owner has claimed the
 * task, and nothing was applied.
 */
export type TaskStateAnswer = 'ok' | 'already' | 'mismatch' | 'fenced';

/**
 * The state of one task (one partition of a job's input) in a store that others may claim (exactly-once, "Acquire" step 4 and "A
 * batch" step 4). The task's commit log calls `claim()` once, then reads at any time, and `write()` one at a time.
 *
 * Every error of the connection is a `transient` {@link SluiceError}: the call may or may not have been applied, and may be made again as it was.
 */
export interface TaskState extends StateReader, AsyncDisposable {
  /**
   * Takes the state over from its former owner, whose writes have no effect from then on. Made again, it gives the same epoch.
   *
   * @param minEpoch the highest epoch known from elsewhere (the committed offset's metadata); the new one is above it, even where the
   * store has forgotten the last ones.
   */
  claim(minEpoch: number): Promise<TaskClaim>;
  scanSome(operatorId: string, from: string | null, aboutKeys: number): Promise<StateScanStep>;
  /**
   * Applies all of a step or nothing of it.
   *
   * @throws {SluiceError} `REDIS_UNAVAILABLE`, `REDIS_FULL` (both transient), `STATE_FLUSH_TOO_LARGE`, `REDIS_REFUSED`.
   */
  write(step: TaskStateWrite): Promise<TaskStateAnswer>;
}

/** `TASK_FENCED`: another owner has the task; this one stops. */
export function taskFenced(task: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'TASK_FENCED',
    `task ${task} must have one owner; another one has taken it over, and nothing of this one takes effect any more. It acquires the task anew if it is still assigned to it`,
    { fields: { task }, cause },
  );
}

/** `STATE_WENT_BACK`: the store lost what it had acknowledged; the log has it, and a new acquisition replays it. */
export function stateWentBack(task: string): SluiceError {
  return new SluiceError(
    'STATE_WENT_BACK',
    `the state of task ${task} must stand where it was written last; the store went back (a failover, or a restart that lost the end of its append-only file). ` +
      'The task acquires it anew and replays the difference',
    { fields: { task } },
  );
}
