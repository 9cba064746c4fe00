import { SluiceError } from '../../error.ts';
import type { Clock } from '../../time/clock.ts';
import type { GroupListener } from './consumer-group.ts';

/** How a task is told to end. */
export interface TaskSignals {
  /** Aborted when the partition is to be handed over: commit what was read, then end. */
  readonly stop: AbortSignal;
  /** Aborted when the partition may be another worker's: commit nothing any more. */
  readonly lost: AbortSignal;
}

/** What a worker does with the partitions that its group gives it. */
export interface GroupTasksOptions {
  /** Acquires the task of a partition and runs it until `stop` is aborted; called again, once at a time, while the partition is this worker's. */
  run(partition: number, signals: TaskSignals): Promise<void>;
  /** A task ended with an error that acquiring it anew cannot mend; it stays ended, and its partition waits. */
  halted(partition: number, error: unknown): void;
  /** A task is acquired anew after this error; or the group itself is in trouble (`null` for the partition). */
  trouble(partition: number | null, error: SluiceError): void;
  /** How long a task may take to end when its partition is to be handed over; after that it is treated as lost. */
  readonly handOverTimeoutMs: number;
  readonly clock: Clock;
}

/** Errors after which a task that is still ours is acquired anew: what it holds in memory is not what the log and the store say. */
const reacquired = new Set(['TASK_FENCED', 'STATE_WENT_BACK']);
const pauseMs = 200;

interface RunningTask {
  readonly stop: AbortController;
  readonly lost: AbortController;
  readonly ended: Promise<void>;
}

/**
 * Runs one task for each partition that a worker has (exactly-once, "Revoke" and "Lost"): starts it with the assignment, ends it before the
 * partition is handed over, and acquires it anew where its state in memory can no longer be trusted. One task's halt leaves the others running.
 */
export class GroupTasks implements GroupListener {
  readonly #options: GroupTasksOptions;
  readonly #tasks = new Map<number, RunningTask>();

  constructor(options: GroupTasksOptions) {
    this.#options = options;
  }

  /** The partitions whose tasks are this worker's now. */
  get partitions(): readonly number[] {
    return [...this.#tasks.keys()];
  }

  assigned(partitions: readonly number[]): void {
    for (const partition of partitions) {
      const [stop, lost] = [new AbortController(), new AbortController()];
      const ended = this.#keepRunning(partition, { stop: stop.signal, lost: lost.signal });
      this.#tasks.set(partition, { stop, lost, ended });
    }
  }

  async revoked(partitions: readonly number[]): Promise<void> {
    const { clock, handOverTimeoutMs } = this.#options;
    const tasks = this.#take(partitions);
    for (const { stop } of tasks) stop.abort();
    const allEnded = Promise.all(tasks.map(({ ended }) => ended));
    const waiting = new AbortController();
    await Promise.race([allEnded, clock.sleep(handOverTimeoutMs, waiting.signal)]);
    waiting.abort();
    // Whoever has not ended by now must not commit: the partition goes to another worker, ready or not.
    for (const { lost } of tasks) lost.abort();
    await allEnded;
  }

  async lost(partitions: readonly number[]): Promise<void> {
    const tasks = this.#take(partitions);
    for (const { stop, lost } of tasks) {
      lost.abort();
      stop.abort();
    }
    await Promise.all(tasks.map(({ ended }) => ended));
  }

  trouble(error: SluiceError): void {
    this.#options.trouble(null, error);
  }

  #take(partitions: readonly number[]): readonly RunningTask[] {
    return partitions.flatMap((partition) => {
      const task = this.#tasks.get(partition);
      this.#tasks.delete(partition);
      return task === undefined ? [] : [task];
    });
  }

  /** Never rejects. */
  async #keepRunning(partition: number, signals: TaskSignals): Promise<void> {
    const { clock } = this.#options;
    while (!signals.stop.aborted) {
      try {
        await this.#options.run(partition, signals);
        return;
      } catch (error) {
        // A task that is to end has nothing to say of how: the next owner finds what is committed.
        if (signals.stop.aborted) return;
        const mayHelp = error instanceof SluiceError && (reacquired.has(error.code) || error.retryable === 'transient');
        if (!mayHelp) {
          this.#options.halted(partition, error);
          return;
        }
        this.#options.trouble(partition, error);
        await clock.sleep(pauseMs, signals.stop);
      }
    }
  }
}
