import { describe, expect, it } from 'vitest';
import { trainInWorker } from './train-in-worker.ts';
import { trainTrees } from './train.ts';
import { randomMatrix } from '../testing/random-matrix.ts';

describe('trainInWorker', () => {
  const matrix = randomMatrix({ rowCount: 2_000, featureCount: 5, seed: 3 });

  it('returns the very trees that training in this thread returns, and reports each tree', async () => {
    const seen: number[] = [];
    const params = { treeCount: 7 };
    const trained = await trainInWorker(matrix, { params, onTree: ({ treeCount }) => seen.push(treeCount) });
    expect(trained).toEqual(trainTrees(matrix, { params }));
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('takes validation rows along', async () => {
    const validation = randomMatrix({ rowCount: 500, featureCount: 5, seed: 4 });
    const params = { treeCount: 50, earlyStopping: { metric: 'average-precision', patienceTrees: 5 } } as const;
    const trained = await trainInWorker(matrix, { params, validation });
    expect(trained).toEqual(trainTrees(matrix, { params, validation }));
  });

  it('passes on the code and message of a refusal', async () => {
    const oneClass = { ...matrix, labels: new Uint8Array(matrix.rowCount) };
    await expect(trainInWorker(oneClass)).rejects.toMatchObject({ name: 'SluiceError', code: 'TRAINING_ONE_CLASS' });
  });

  it('ends in the middle of a training when its signal is aborted', async () => {
    const abort = new AbortController();
    const params = { treeCount: 5_000 };
    const training = trainInWorker(matrix, { params, signal: abort.signal, onTree: () => abort.abort() });
    await expect(training).rejects.toMatchObject({ code: 'TRAINING_ABORTED' });
  });

  it('does not start where the signal was aborted before', async () => {
    const training = trainInWorker(matrix, { signal: AbortSignal.abort() });
    await expect(training).rejects.toMatchObject({ code: 'TRAINING_ABORTED' });
  });

  it('ends when the caller throws out of its progress callback', async () => {
    const training = trainInWorker(matrix, {
      onTree: () => {
        throw new Error('the disk is full');
      },
    });
    await expect(training).rejects.toThrow('the disk is full');
  });
});
