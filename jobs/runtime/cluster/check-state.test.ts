import { describe, expect, it } from 'vitest';
import { writeNote } from '../../../engine/sink/kafka/commit-note.ts';
import { checkPosition, type TaskStanding } from './check-state.ts';

const digest = 'of this job';

function standing(
  changes: Partial<TaskStanding> & { readonly jobDigest?: string; readonly at?: number },
): TaskStanding {
  const { jobDigest = digest, at = 80, ...rest } = changes;
  const metadata = { batchSequence: 3, watermarksMs: [], jobDigest, modelDigest: '' };
  return {
    stage: { name: 'shop.scoring', topic: 'payments', digest, fateOf: () => 'refuse' },
    partition: 2,
    range: { start: 10, end: 100 },
    position: { offset: at, metadata: writeNote({ metadata, epoch: 1, origin: 20 }) },
    header: { offset: 70, metadata: null },
    ...rest,
  };
}

const lost = { offset: null, metadata: null };

describe('where a task stands', () => {
  it.each([
    ['between its state and its position', standing({}), 10],
    ['with its state at its position', standing({ header: { offset: 80, metadata: null } }), 0],
    ['with a state that is lost, and a log that reaches to its beginning', standing({ header: lost }), 60],
    ['nowhere yet', standing({ position: null, header: lost }), 0],
    ['at the very end of the log', standing({ at: 100, header: { offset: 100, metadata: null } }), 0],
  ])('is sound %s', (_, task, replayed) => {
    expect(checkPosition(task)).toBe(replayed);
  });

  it.each([
    ['LOG_TRUNCATED', 'its state is older than the log', standing({ range: { start: 71, end: 100 } })],
    ['LOG_TRUNCATED', 'its state is lost, and the log too', standing({ range: { start: 21, end: 100 }, header: lost })],
    ['STATE_AHEAD_OF_LOG', 'its state is ahead', standing({ at: 60 })],
    ['STATE_AHEAD_OF_LOG', 'its position is gone', standing({ position: null })],
    ['OFFSET_OUT_OF_RANGE', 'the topic was made anew', standing({ at: 101 })],
    ['JOB_CHANGED', 'another job left it', standing({ jobDigest: 'of another' })],
    ['COMMIT_NOTE_UNREADABLE', 'somebody else commits there', standing({ position: { offset: 1, metadata: 'x' } })],
  ])('is refused by name (%s) where %s, with the place and the way out', (code, _, task) => {
    expect(() => checkPosition(task)).toThrow(expect.objectContaining({ code }));
    try {
      checkPosition(task);
    } catch (error) {
      expect(String(error)).toMatch(/shop\.scoring\.payments-2|partition 2/);
      expect(String(error)).toMatch(/run the|delete|Put the|put the|Run the|Give/);
    }
  });
});
