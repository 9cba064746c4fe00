import { expect } from 'vitest';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { ScannedStore } from './scanned-store.ts';

/** A logic that keeps a stored value for each key, and one for its watermarks. */
interface KeyedLogic extends StatefulLogic {
  readonly keyCount: number;
}

/**
 * What a logic answers that is stopped before each of these rows, and opened anew from what it has stored. For the tests of keyed operators, which compare it with what one answers that was never
 * stopped.
 *
 * @param cuts in any order; those beyond the batch stop it at the end.
 */
export async function answersOverRestarts<A>(
  batch: RecordBatch,
  cuts: readonly number[],
  open: (state: 'empty' | 'stored') => KeyedLogic,
  answersOf: (answered: RecordBatch) => readonly A[],
): Promise<readonly A[]> {
  const store = new ScannedStore();
  const answers: A[] = [];
  let logic = open('empty');
  let from = 0;
  for (const cut of [...cuts.toSorted((a, b) => a - b), batch.rowCount]) {
    const to = Math.max(from, Math.min(cut, batch.rowCount));
    const rows = Int32Array.from({ length: to - from }, (_, row) => from + row);
    const part = selectRows(batch, rows);
    await logic.prefetch(part, store);
    answers.push(...answersOf(logic.apply(part)));
    from = to;
    store.write(logic.takeChanges());
    expect(store.values.size - (from > 0 ? 1 : 0)).toBe(logic.keyCount);
    logic = open('stored');
  }
  return answers;
}
