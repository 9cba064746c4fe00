import type { Logger } from '../engine/observability/logger.ts';
import { ifStillThere } from '../engine/time/last-resort.ts';

/** Within the 30 s that docker compose and Kubernetes give a process to end. */
export const stopTimeoutMs = 25_000;

/**
 * Sees to it that a process which was told to stop is gone in time, whatever its clients do. Called by the commands that use Kafka, once.
 *
 * The Kafka client's `sendOffsetsToTransaction` does not return while no broker is left, whatever its time limit (librdkafka 2.x waits there for a broker to come up, in
 * `rd_kafka_coord_req`, whose deadline nothing looks at), and holds a thread of libuv's pool. `process.exit` joins these threads, so it does not return either.
 *
 * @param stopped aborted when the process is to end.
 */
export function endInTime(stopped: AbortSignal, withinMs: number, logger: Logger): void {
  const arm = (): void =>
    ifStillThere(withinMs, () => {
      logger.error(
        `the process must end within ${withinMs / 1000} s of being told to; something does not return, as a call of the Kafka client while no broker is left: ` +
          'it ends as if killed. What was committed stays, and whoever takes its partitions over goes on there',
        { code: 'STOP_TIMED_OUT', withinMs },
      );
      endAtOnce();
    });
  if (stopped.aborted) arm();
  else stopped.addEventListener('abort', arm, { once: true });
}

/** Ends the process as a crash would: where `process.exit` might wait for threads that do not return. */
export function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}
