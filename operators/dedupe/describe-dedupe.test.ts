import { describe, expect, it } from 'vitest';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { addToChunk, chunkKey, emptyChunk, encodeChunk } from './chunk-format.ts';
import { describeDedupe } from './describe-dedupe.ts';

const forEver = describeDedupe({ operatorId: 'once', by: ['id'], withinMs: Infinity });
const describer = describeDedupe({ operatorId: 'once', by: ['card', 'id'], withinMs: 60 });

/** A log of ids, cut into chunks of so many records. */
function logOf(records: readonly (readonly [id: string, eventTimeMs: number])[], size: number): StateEntry[] {
  return Array.from({ length: Math.ceil(records.length / size) }, (_, number) => {
    const chunk = emptyChunk(number, 8);
    for (const [id, eventTimeMs] of records.slice(number * size, (number + 1) * size)) {
      const bytes = new TextEncoder().encode(id);
      addToChunk(chunk, bytes, 0, bytes.length, eventTimeMs);
    }
    return { key: chunkKey(number), value: encodeChunk(chunk) };
  });
}

const readLog = (entries: readonly StateEntry[]): (readonly [string, number | null])[] =>
  entries.flatMap((entry) =>
    describer
      .rowsOf(entry)
      .map(({ key, eventTimeMs }) => [new TextDecoder().decode(key ?? undefined), eventTimeMs] as const),
  );

describe('remembered ids, read as rows', () => {
  it('say whose they are and how long they are kept', () => {
    expect(describer).toMatchObject({
      operatorId: 'once',
      kind: 'duplicates',
      keyFields: ['card', 'id'],
      filedBy: 'inside',
      keepsMs: 60,
      identity: '["card","id"]',
      layout: '',
    });
  });

  it('are one row for each record that was let through, in their order', () => {
    const [entry] = logOf(
      [
        ['b', 5],
        ['aa', 3],
      ],
      2,
    );
    expect(entry === undefined ? [] : describer.rowsOf(entry)).toEqual([
      { key: Uint8Array.of(98), eventTimeMs: 5, values: {} },
      { key: Uint8Array.of(97, 97), eventTimeMs: 3, values: {} },
    ]);
  });

  it('go to the stores that their keys belong to, by event time, each log numbered from its start in full chunks', () => {
    const records = Array.from({ length: 900 }, (_, i) => [`id ${i}`, (i * 7_919) % 900] as const);
    const stores = [logOf(records.slice(0, 400), 256), logOf(records.slice(400), 256)];
    const isOdd = (key: Uint8Array): boolean => (key.at(-1) ?? 0) % 2 === 1;
    const made = describer.redistribute?.(stores, 3, (key) => (isOdd(key) ? 2 : 0)) ?? [];
    const inOrder = records.toSorted(([, a], [, b]) => a - b);
    expect(made).toHaveLength(3);
    expect(readLog(made[0] ?? [])).toEqual(inOrder.filter(([id]) => Number(id.at(-1)) % 2 === 0));
    expect(made[1]).toEqual([]);
    expect(readLog(made[2] ?? [])).toEqual(inOrder.filter(([id]) => Number(id.at(-1)) % 2 === 1));
    expect(made[2]?.map(({ key }) => key)).toEqual([chunkKey(0), chunkKey(1)]);
    expect(made[2]?.map((entry) => describer.rowsOf(entry).length)).toEqual([256, 194]);
  });

  it('are left out where their key belongs to none of the stores', () => {
    expect(describer.redistribute?.([logOf([['a', 1]], 1)], 1, () => 1)).toEqual([[]]);
  });

  it('are kept without an end where they are remembered for ever', () => {
    expect([describer.keepsMs, forEver.keepsMs]).toEqual([60, null]);
  });
});
