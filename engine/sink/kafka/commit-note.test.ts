import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readNote, writeNote, type CommitNote } from './commit-note.ts';

const notes: fc.Arbitrary<CommitNote> = fc.record({
  metadata: fc.record({
    batchSequence: fc.nat(),
    watermarksMs: fc.array(
      fc.record({
        partition: fc.nat(),
        watermarkMs: fc.oneof(fc.constant(-Infinity), fc.double({ noNaN: true, noDefaultInfinity: true })),
      }),
      { maxLength: 3 },
    ),
    jobDigest: fc.string(),
    modelDigest: fc.string(),
  }),
  epoch: fc.nat(),
  origin: fc.nat(),
});

describe('the note beside a committed position', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(notes, (note) => {
        // JSON has one zero.
        const plain = JSON.parse(JSON.stringify(note), (_, value: unknown) =>
          Object.is(value, -0) ? 0 : value,
        ) as unknown;
        const read = readNote(writeNote(note), 'a test');
        expect(JSON.parse(JSON.stringify(read))).toEqual(plain);
        expect(read.metadata.watermarksMs.map(({ watermarkMs }) => watermarkMs === -Infinity)).toEqual(
          note.metadata.watermarksMs.map(({ watermarkMs }) => watermarkMs === -Infinity),
        );
      }),
    );
  });

  it('stays far below the 4,096 bytes that a broker takes', () => {
    const digest = 'f'.repeat(64);
    const metadata = {
      batchSequence: 2 ** 40,
      watermarksMs: [{ partition: 9_999, watermarkMs: 1_700_000_000_000 }],
      jobDigest: digest,
      modelDigest: digest,
    };
    expect(writeNote({ metadata, epoch: 2 ** 31, origin: 2 ** 50 }).length).toBeLessThan(400);
  });

  it.each(['', 'x', 'null', '{}', '{"v":2}', '{"v":1,"seq":3}'])('is refused by name when it is %j', (text) => {
    expect(() => readNote(text, 'the position of task t')).toThrow(
      expect.objectContaining({
        code: 'COMMIT_NOTE_UNREADABLE',
        message: expect.stringContaining('beside the position of task t'),
      }),
    );
  });
});
