import { describe, expect, it } from 'vitest';
import { decodePanes, encodePanes, newestInPanesMs } from './pane-format.ts';
import { PaneStore } from './pane-store.ts';
import type { PaneRule } from './rolling-definition.ts';
import { linesOf, maximumLayout, paneAggregate, paneLayout, storeOf } from './testing/pane-stores.ts';

const inPanes: PaneRule = { sizeMs: 10 };
const layout = maximumLayout(inPanes);

/** Bytes by hand: the header's whole numbers, then doubles. */
function bytesOf(columns: number, paneColumns: number, rows: number, panes: number, ...doubles: number[]): Uint8Array {
  const bytes = new Uint8Array(16 + doubles.length * 8);
  const view = new DataView(bytes.buffer);
  bytes.set([2, columns]);
  view.setUint16(2, paneColumns, true);
  view.setUint32(4, rows, true);
  view.setUint32(8, panes, true);
  doubles.forEach((double, i) => view.setFloat64(16 + i * 8, double, true));
  return bytes;
}

const records: readonly (readonly [number, number])[] = [
  ...([1, 2, 3, 4] as const).map((t) => [t, t * 1.5] as const),
  [11, NaN],
  [21, -7],
  [21, 8],
  [25, 9],
];

describe('the stored bytes of panes', () => {
  it('are times and columns of the rows, then of the panes', () => {
    const store = storeOf(inPanes, 0, records);
    store.seal(0, 10);
    const rows = [11, 21, 21, 25, NaN, -7, 8, 9];
    const panes = [10, 30, 4, 3, 4, 3, 6, 9];
    expect(encodePanes(store, 0, layout)).toEqual(bytesOf(1, 3, 4, 2, 10, 30, ...rows, ...panes));
  });

  it('are those of rows alone, or of panes alone', () => {
    const rowsAlone = storeOf(inPanes, 0, [[5, 1]]);
    expect(encodePanes(rowsAlone, 0, layout)).toEqual(bytesOf(1, 3, 1, 0, -Infinity, 5, 5, 1));
    const panesAlone = storeOf(inPanes, 0, records.slice(0, 3));
    panesAlone.seal(0, 20);
    expect(encodePanes(panesAlone, 0, layout)).toEqual(bytesOf(1, 3, 0, 1, 20, 10, 10, 3, 3, 4.5));
  });

  it('are read back to what they were, and written again alike, wherever they lie', () => {
    const store = storeOf(inPanes, 0, records);
    store.seal(0, 10);
    for (const [slot, bytes] of [
      [3, encodePanes(store, 0, layout)],
      [0, bytesOf(1, 3, 1, 0, -Infinity, 5, 5, 1)],
      [9, bytesOf(1, 3, 0, 1, 20, 10, 10, 3, 3, 4.5)],
    ] as const) {
      const unaligned = new Uint8Array(bytes.length + 3);
      unaligned.set(bytes, 3);
      const read = new PaneStore(layout);
      decodePanes(unaligned.subarray(3), read, slot, layout);
      expect(encodePanes(read, slot, layout)).toEqual(bytes);
    }
    const read = storeOf(inPanes, 3, records);
    decodePanes(encodePanes(store, 0, layout), read, 3, layout);
    expect(linesOf(read.rows, 3)).toEqual(linesOf(store.rows, 0));
    expect(linesOf(read.panes, 3)).toEqual(linesOf(store.panes, 0));
    expect(read.sealedToMs(3)).toBe(10);
  });

  it('have room for more than 255 columns of panes', () => {
    const wide = { ...layout, paneColumns: 0x1_02 };
    const store = new PaneStore(wide);
    store.panes.insert(0, 10);
    const bytes = encodePanes(store, 0, wide);
    expect([...bytes.subarray(0, 12)]).toEqual([2, 1, 2, 1, 0, 0, 0, 0, 1, 0, 0, 0]);
    decodePanes(bytes, store, 1, wide);
    expect(store.panes.newestTimeMs(1)).toBe(10);
  });

  it('tell how new the newest record is without being read', () => {
    expect(newestInPanesMs(bytesOf(1, 3, 1, 0, -Infinity, 5, 5, 1))).toBe(5);
    expect(newestInPanesMs(bytesOf(9, 3, 0, 0, 40, 37))).toBe(37);
  });
});

describe('stored bytes that are no panes of the operator', () => {
  const whole = bytesOf(1, 3, 1, 0, -Infinity, 5, 5, 1);
  const words = 'stored state of rolling panes must have';
  const advice = 'it was written by another version of the job or is damaged: rebuild the state from the log';

  it.each([
    ['of another version', Uint8Array.from(whole, (byte, i) => (i === 0 ? 1 : byte)), 'version 2; got version 1'],
    ['empty', new Uint8Array(0), 'version 2; got version none'],
    ['cut off in the header', whole.slice(0, 31), 'a whole value; it is cut off (31 bytes)'],
    ['cut off behind it', whole.slice(0, 32), '48 bytes; got 32'],
    ['cut off', whole.slice(0, 40), '48 bytes; got 40'],
    ['too long', Uint8Array.from([...whole, 0]), '48 bytes; got 49'],
    ['of other columns', bytesOf(2, 3, 0, 0, 0, 0), '1 columns and 3 of panes; got 2 and 3'],
    ['of other panes', bytesOf(1, 259, 0, 0, 0, 0), '1 columns and 3 of panes; got 1 and 259'],
  ])('are refused where they are %s', (_, bytes, problem) => {
    const read = (): void => decodePanes(bytes, new PaneStore(layout), 0, layout);
    expect(read).toThrow(expect.objectContaining({ code: 'STATE_FORMAT', message: `${words} ${problem}; ${advice}` }));
  });

  it('are refused by who asks for the newest record, too', () => {
    expect(() => newestInPanesMs(whole.slice(0, 31))).toThrow('cut off');
    expect(() => newestInPanesMs(Uint8Array.of(3))).toThrow('version 3');
  });

  it('are taken where rows have no columns', () => {
    const counts = paneLayout(inPanes, paneAggregate('count', null));
    const store = new PaneStore(counts);
    for (const t of [1, 2, 3]) store.insert(0, t, new Float64Array(0));
    const bytes = encodePanes(store, 0, counts);
    expect(bytes).toEqual(bytesOf(0, 1, 3, 1, -Infinity, 10, 1, 2, 3, 10, 3));
  });
});
