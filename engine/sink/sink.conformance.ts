import { describe, expect, it } from 'vitest';
import type { MessageBatch } from '../record/message-batch.ts';
import { messageBatchOf } from '../storage/message-batch-builder.ts';
import type { Sink } from './sink.ts';

/** Where a sink writes to, empty at first, and what its readers see there. */
export interface SinkUnderTest extends AsyncDisposable {
  /** The sink, opened anew as after a restart. One is open at a time. */
  open(): Promise<Sink>;
  /** The messages' values that a reader sees, in any order. Each is a JSON object with the texts `place` and `text`. */
  seen(): Promise<readonly string[]>;
}

/** What every sink must keep of the contract in `sink.ts`. An implementation joins with one line. */
export function sinkConformance(name: string, open: () => Promise<SinkUnderTest>): void {
  describe(`${name} keeps the contract of a sink`, () => {
    it('shows what was written as soon as the write has resolved, each message once', async () => {
      await using test = await open();
      await using sink = await test.open();
      await sink.write(chunk(0, 0, 3));
      expect(await places(test)).toEqual(['0/0', '0/1', '0/2']);
      await sink.write(chunk(0, 3, 5));
      expect(await places(test)).toEqual(['0/0', '0/1', '0/2', '0/3', '0/4']);
    });

    it('keeps partitions apart that have the same offsets', async () => {
      await using test = await open();
      await using sink = await test.open();
      await sink.write(chunk(0, 0, 2));
      await sink.write(chunk(1, 0, 2));
      expect(await places(test)).toEqual(['0/0', '0/1', '1/0', '1/1']);
    });

    it('gives text back as it came, whatever is in it', async () => {
      await using test = await open();
      await using sink = await test.open();
      const text = 'tab\t, line\n, quote ", backslash \\, é, 漢, 🙂, \u2028';
      await sink.write(messages(0, [{ place: '0/0', text }], 0));
      const [value = ''] = await test.seen();
      expect(JSON.parse(value)).toEqual({ place: '0/0', text });
    });

    it('goes on for its next owner behind what the last one wrote', async () => {
      await using test = await open();
      {
        await using sink = await test.open();
        await sink.write(chunk(0, 0, 2));
      }
      await using next = await test.open();
      await next.write(chunk(0, 2, 4));
      expect(await places(test)).toEqual(['0/0', '0/1', '0/2', '0/3']);
    });

    it('takes the chunk that was under way at a crash again, and shows it as often as its delivery says', async () => {
      await using test = await open();
      {
        await using sink = await test.open();
        await sink.write(chunk(0, 0, 2));
        await sink.write(chunk(0, 2, 5));
      }
      await using next = await test.open();
      await next.write(chunk(0, 2, 5));
      await next.write(chunk(0, 5, 6));
      const seen = await places(test);
      const wanted = ['0/0', '0/1', '0/2', '0/3', '0/4', '0/5'];
      expect(next.delivery === 'exactly-once' ? seen : [...new Set(seen)]).toEqual(wanted);
    });
  });
}

function messages(partition: number, values: readonly object[], from: number): MessageBatch {
  return messageBatchOf(
    'followed',
    values.map((value, i) => ({
      value: JSON.stringify(value),
      key: 'k',
      partition,
      offset: from + i,
      timestampMs: 1_769_000_000_123,
    })),
  );
}

/** Messages `[from, to)` of a partition. */
function chunk(partition: number, from: number, to: number): MessageBatch {
  const values = Array.from({ length: to - from }, (_, i) => ({
    place: `${partition}/${from + i}`,
    text: `text ${i}`,
  }));
  return messages(partition, values, from);
}

async function places(test: SinkUnderTest): Promise<string[]> {
  const seen = await test.seen();
  return seen.map((value) => (JSON.parse(value) as { readonly place: string }).place).toSorted();
}
