import { describe, expect, it } from 'vitest';
import type { StateReader, StateWrite } from './state-store.ts';

/** A task's state, empty at first, and a way to write it as the task's commits do. */
export interface StateUnderTest extends AsyncDisposable {
  readonly reader: StateReader;
  write(writes: readonly StateWrite[]): Promise<void>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What every state store must keep of the contract in `state-store.ts`. An implementation joins with one line. */
export function stateReaderConformance(name: string, open: () => Promise<StateUnderTest>): void {
  describe(`${name} keeps the contract of a state reader`, () => {
    it('gives null for keys without state', async () => {
      await using test = await open();
      expect(await getMany(test, 'card', ['a', 'b'])).toEqual([null, null]);
    });

    it('gives the values in the order of the keys, however they were written', async () => {
      await using test = await open();
      await test.write([put('card', 'b', '2'), put('card', 'a', '1'), put('card', 'c', '3')]);
      expect(await getMany(test, 'card', ['c', 'missing', 'a', 'b', 'a'])).toEqual(['3', null, '1', '2', '1']);
      expect(await getMany(test, 'card', [])).toEqual([]);
    });

    it('keeps the last value, and none once it was written as null', async () => {
      await using test = await open();
      await test.write([put('card', 'a', '1'), put('card', 'b', '1')]);
      await test.write([put('card', 'a', '2'), { operatorId: 'card', key: encoder.encode('b'), value: null }]);
      expect(await getMany(test, 'card', ['a', 'b'])).toEqual(['2', null]);
    });

    it('keeps operators apart that use the same keys', async () => {
      await using test = await open();
      await test.write([put('card', 'a', 'card'), put('terminal', 'a', 'terminal'), put('card', 'b', 'card b')]);
      expect(await getMany(test, 'card', ['a'])).toEqual(['card']);
      expect(await getMany(test, 'terminal', ['a', 'b'])).toEqual(['terminal', null]);
      expect(await scan(test, 'terminal')).toEqual([['a', 'terminal']]);
    });

    it('scans an operator in byte order of its keys', async () => {
      await using test = await open();
      const keys = Array.from({ length: 2_500 }, (_, index) => `key ${(index * 7_919) % 2_500}`);
      await test.write(keys.map((key) => put('card', key, key)));
      await test.write([put('another', 'x', 'y')]);
      const expected = [...new Set(keys)].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      expect(await scan(test, 'card')).toEqual(expected.map((key) => [key, key]));
      expect(await scan(test, 'nobody')).toEqual([]);
    });

    it('gives every key of an operator in steps, each with its last value, while others come and go', async () => {
      await using test = await open();
      const { reader } = test;
      if (reader.scanSome === undefined) return;
      const keys = Array.from({ length: 700 }, (_, index) => `key ${index}`);
      const value = (key: string): string => `${key} ${'.'.repeat(100)}`;
      await test.write(keys.map((key) => put('card', key, 'before')));
      await test.write([...keys.map((key) => put('card', key, value(key))), put('another', 'x', 'y')]);
      const found = new Map<string, string>();
      let from: string | null = null;
      let steps = 0;
      do {
        const { entries, next } = await reader.scanSome('card', from, 50);
        for (const { key, value: bytes } of entries) found.set(decoder.decode(key), decoder.decode(bytes));
        if (steps++ === 3) {
          await test.write([
            put('card', 'late', 'x'),
            { operatorId: 'card', key: encoder.encode('key 5'), value: null },
          ]);
        }
        from = next;
      } while (from !== null);
      expect(steps).toBeGreaterThan(5);
      for (const key of keys) if (key !== 'key 5') expect(found.get(key)).toBe(value(key));
      expect(found.has('x')).toBe(false);
      expect(await reader.scanSome('nobody', null, 50)).toEqual({ entries: [], next: null });
    });

    it('holds any bytes, and values of any size', async () => {
      await using test = await open();
      const key = Uint8Array.of(0, 255, 10, 0);
      const value = new Uint8Array(300_000).map((_, index) => index % 251);
      await test.write([
        { operatorId: 'card', key, value },
        { operatorId: 'card', key: Uint8Array.of(0), value: new Uint8Array(0) },
      ]);
      const [large, empty] = await test.reader.getMany('card', [key, Uint8Array.of(0)]);
      expect(Buffer.from(large ?? []).equals(value)).toBe(true);
      expect(empty).toHaveLength(0);
    });

    it('gives values that later reads and writes leave as they are', async () => {
      await using test = await open();
      await test.write([put('card', 'a', 'first'), put('card', 'b', 'other')]);
      const [before] = await test.reader.getMany('card', [encoder.encode('a')]);
      await test.write([put('card', 'a', 'SECOND')]);
      await test.reader.getMany('card', [encoder.encode('b'), encoder.encode('a')]);
      expect(decoder.decode(before ?? undefined)).toBe('first');
    });
  });
}

function put(operatorId: string, key: string, value: string): StateWrite {
  return { operatorId, key: encoder.encode(key), value: encoder.encode(value) };
}

async function getMany(test: StateUnderTest, operatorId: string, keys: readonly string[]): Promise<(string | null)[]> {
  const values = await test.reader.getMany(
    operatorId,
    keys.map((key) => encoder.encode(key)),
  );
  return values.map((value) => (value === null ? null : decoder.decode(value)));
}

async function scan(test: StateUnderTest, operatorId: string): Promise<(readonly [string, string])[]> {
  const entries: (readonly [string, string])[] = [];
  for await (const { key, value } of test.reader.scan(operatorId))
    entries.push([decoder.decode(key), decoder.decode(value)]);
  return entries;
}
