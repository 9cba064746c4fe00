import type { KeptRow, KeyPlace, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { chunkKey, chunkRecords, decodeChunk, encodeChunk, type Chunk } from './chunk-format.ts';
import type { DedupeDefinition } from './dedupe-logic.ts';

/** How the remembered ids of a `DedupeLogic` read: one row for each record that was let through, in the order of their arrival. */
export function describeDedupe({ operatorId, by, withinMs }: DedupeDefinition): StateDescriber {
  return {
    operatorId,
    kind: 'duplicates',
    keyFields: by,
    filedBy: 'inside',
    keepsMs: withinMs,
    identity: JSON.stringify(by),
    layout: '',
    rowsOf: ({ key, value }) => rowsOf(decodeChunk(key, value)),
    redistribute,
  };
}

function rowsOf({ keys, times }: Chunk): readonly KeptRow[] {
  return keys.map((key, index) => ({ key, eventTimeMs: times[index] ?? 0, values: {} }));
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
    if (chunk === undefined || chunk.keys.length === chunkRecords) {
      chunk = { number: log.length, keys: [], times: [], newestMs: -Infinity };
      log.push(chunk);
    }
    chunk.keys.push(key);
    chunk.times.push(eventTimeMs ?? 0);
  }
  return logs.map((log) => log.map((chunk) => ({ key: chunkKey(chunk.number), value: encodeChunk(chunk) })));
}
