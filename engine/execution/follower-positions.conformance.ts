import { describe, expect, it } from 'vitest';
import type { FollowerPositions } from './follower.ts';

/** The position of one follower of one topic, and those who take it up one after the other. */
export interface PositionsUnderTest extends AsyncDisposable {
  /** The next owner's: from its `load` on, the one before is fenced. */
  own(): Promise<FollowerPositions>;
}

/**
 * What every store of a follower's position must keep of the contract in `follower.ts`, for a topic of which partition 0 is followed. An
 * implementation joins with one line: `followerPositionsConformance('the embedded log', () => …)`.
 */
export function followerPositionsConformance(name: string, open: () => Promise<PositionsUnderTest>): void {
  const at = (offset: number): { partition: number; offset: number }[] => [{ partition: 0, offset }];

  describe(`a follower's position in ${name}`, () => {
    it('is nothing before the first was stored', async () => {
      await using test = await open();
      expect(await (await test.own()).load()).toEqual({ offsets: [], chunk: null });
    });

    it('comes back as it was stored, the chunk under way with it', async () => {
      await using test = await open();
      const first = await test.own();
      await first.load();
      await first.store({ offsets: at(7), chunk: [{ partition: 0, from: 9, to: 2 ** 40 }] });
      expect(await (await test.own()).load()).toEqual({
        offsets: at(7),
        chunk: [{ partition: 0, from: 9, to: 2 ** 40 }],
      });
    });

    it('is the last one that was stored', async () => {
      await using test = await open();
      const first = await test.own();
      await first.load();
      for (let offset = 0; offset < 5; offset++) {
        await first.store({ offsets: at(offset), chunk: [{ partition: 0, from: offset, to: offset + 1 }] });
        await first.store({ offsets: at(offset + 1), chunk: null });
      }
      expect(await (await test.own()).load()).toEqual({ offsets: at(5), chunk: null });
    });

    it('may stand at the beginning', async () => {
      await using test = await open();
      const first = await test.own();
      await first.load();
      await first.store({ offsets: at(0), chunk: null });
      expect(await (await test.own()).load()).toEqual({ offsets: at(0), chunk: null });
    });

    it('takes nothing from a follower whose place another one has taken', async () => {
      await using test = await open();
      const former = await test.own();
      await former.load();
      await former.store({ offsets: at(3), chunk: null });
      const latter = await test.own();
      await latter.load();

      await expect(former.store({ offsets: at(99), chunk: null })).rejects.toMatchObject({
        code: 'TASK_FENCED',
        retryable: 'permanent',
      });
      await latter.store({ offsets: at(4), chunk: null });
      expect(await (await test.own()).load()).toEqual({ offsets: at(4), chunk: null });
    });
  });
}
