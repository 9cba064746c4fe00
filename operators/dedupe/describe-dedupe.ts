import type { KeptRow, KeyPlace, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import {
  addToChunk,
  chunkKey,
  chunkRecords,
  decodeChunk,
  emptyChunk,
  encodeChunk,
  type Chunk,
} from './chunk-format.ts';
import type { DedupeDefinition } from './dedupe-logic.ts';

/** How the remembered ids of a `DedupeLogic` read: one row for each record that was let through, in the order of their arrival. */
export function describeDedupe({ operatorId, by, withinMs }: DedupeDefinition): StateDescriber {
  return {
    operatorId,
    kind: 'duplicates',
    keyFields: by,
    filedBy: 'inside',
    keepsMs: withinMs === Infinity ? null : withinMs,
    identity: JSON.stringify(by),
    layout: '',
    rowsOf: ({ key, value }) => rowsOf(decodeChunk(key, value)),
    redistribute,
  };
}

function rowsOf({ count, data, offsets, times }: Chunk): readonly KeptRow[] {
  return Array.from({ length: count }, (_, index) => ({
    key: data.slice(offsets[index], offsets[index + 1]),
    eventTimeMs: times[index] ?? 0,
    values: {},
  }));
}

/** Ids of several logs one behind the other by event time, which is what they are forgotten by; each log numbered anew. */
function redistribute(
  stores: readonly (readonly StateEntry[])[],
  count: number,
  place: KeyPlace,
): readonly StateEntry[][] {
  const rows = stores.flatMap((entries) => entries.flatMap(({ key, value }) => rowsOf(decodeChunk(key, value))));
  rows.sort((a, b) => (a.eventTimeMs ?? 0) - (b.eventTimeMs ?? 0));
  const logs = Array.from({ length: count }, (): Chunk[] => []);
  for (const { key, eventTimeMs } of rows) {
    const log = key === null ? undefined : logs[place(key)];
    if (log === undefined || key === null) continue;
    let chunk = log.at(-1);
    if (chunk === undefined || chunk.count === chunkRecords) {
      chunk = emptyChunk(log.length, key.length * chunkRecords);
      log.push(chunk);
    }
    addToChunk(chunk, key, 0, key.length, eventTimeMs ?? 0);
  }
  return logs.map((log) => log.map((chunk) => ({ key: chunkKey(chunk.number), value: encodeChunk(chunk) })));
}
