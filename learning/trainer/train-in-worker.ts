import { messageOf, SluiceError } from '../../engine/error.ts';
import { startWorkerThread } from '../../engine/worker-thread.ts';
import type { TrainingMatrix } from './training-matrix.ts';
import type { TrainedTrees, TrainingOptions } from './train.ts';
import type { TrainerReport, TrainerTask } from './trainer-worker.ts';

/** What a training in a worker may be given beside its rows. */
export interface WorkerTrainingOptions extends TrainingOptions {
  /** Ends the training at once, half-grown tree and all. */
  readonly signal?: AbortSignal;
}

/**
 * Trains in a thread of its own, so that the caller's event loop goes on scoring. Same result, to the bit, as `trainTrees`.
 *
 * The rows are copied into the thread unless they lie in shared memory. `onTree` is called in the caller's thread.
 *
 * @throws {SluiceError} what `trainTrees` throws; `TRAINING_ABORTED` when `signal` is aborted; `TRAINING_WORKER_FAILED` when the
 * thread dies, usually for want of memory.
 */
export async function trainInWorker(
  matrix: TrainingMatrix,
  options: WorkerTrainingOptions = {},
): Promise<TrainedTrees> {
  const { signal, onTree, ...rest } = options;
  if (signal?.aborted === true) throw abortedError(signal);
  const task: TrainerTask = { matrix, ...rest };
  const worker = startWorkerThread('./trainer-worker', import.meta.url, task);
  let onAbort = (): void => {};
  try {
    return await new Promise<TrainedTrees>((resolve, reject) => {
      onAbort = () => reject(abortedError(signal));
      signal?.addEventListener('abort', onAbort, { once: true });
      worker.on('message', (report: TrainerReport) => {
        switch (report.kind) {
          case 'tree':
            try {
              onTree?.(report.progress);
            } catch (thrown) {
              reject(thrown instanceof Error ? thrown : new Error(messageOf(thrown)));
            }
            return;
          case 'trained':
            resolve(report.trained);
            return;
          case 'refused':
            reject(new SluiceError(report.code, report.message, { fields: report.fields }));
        }
      });
      worker.on('error', (cause) => reject(workerError(messageOf(cause), cause)));
      worker.on('exit', (code) => reject(workerError(`it ended with code ${code} before it was done`)));
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    await worker.terminate();
  }
}

function abortedError(signal: AbortSignal | undefined): SluiceError {
  return new SluiceError('TRAINING_ABORTED', 'the training was aborted before its last tree; nothing was kept', {
    cause: signal?.reason,
  });
}

function workerError(why: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'TRAINING_WORKER_FAILED',
    `could not finish the training: its thread failed: ${why}; train on fewer rows or give the process more memory`,
    cause === undefined ? {} : { cause },
  );
}
