import { strict as assert } from 'node:assert';
import { isValid, valueAt } from '../../engine/record/column.ts';
import { columnOf, DELETED, MARK, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { PartitionWatermarks, type HoldRule } from '../../engine/time/partition-watermarks.ts';
import { inputColumn } from '../join/join-definition.ts';
import type { JoinValue } from '../join/join-row.ts';
import { valuesColumn } from '../join/values-column.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import { enrichedFields, type EnrichDefinition } from './enrich-definition.ts';
import {
  readVersion,
  readWatermarks,
  versionName,
  watermarksName,
  writeVersion,
  writeWatermarks,
  type TableVersion,
} from './table-format.ts';

/** Where an enrichment starts from. Stored state says itself which watermarks it has seen. */
export interface EnrichStart {
  readonly state: 'empty' | 'stored';
  /** As `JoinStart` has it. */
  readonly holds?: readonly HoldRule[];
}

/** What became of a batch. Each row is in exactly one of the three. */
export interface Enriched {
  /** The stream's records with the table's columns behind theirs; rows of other tables, which another operator takes in, with nulls there. */
  readonly records: RecordBatch;
  /** How many rows were versions of the table. */
  readonly absorbed: number;
  /** How many records were left out: for want of a version, where the definition says so. */
  readonly dropped: number;
}

/**
 * Gives each record of a stream what a table says of its key (docs/joins.md): the version of the record's own time (as Flink's temporal join), or the last that came. Answers at once, with
 * the versions that have come before it; so what it answers depends on the recorded order of the two inputs alone.
 *
 * The table is in memory, and in the state. Of a key, the versions are kept that records may still ask for: those since the stream's watermark, and the newest before it. That the key was
 * deleted is a version, too, since older ones may come behind it.
 *
 * Cost a record: a hash look-up and a binary search.
 */
export class EnrichLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: EnrichDefinition;
  readonly #outputSchema: Schema;
  readonly #index = new KeyIndex();
  /** By slot of `#index`, each key's by event time, ties by position. */
  readonly #versions: (TableVersion[] | undefined)[] = [];
  /** Of the stream's partitions. */
  readonly #watermarks: PartitionWatermarks;
  readonly #changed = new Map<TableVersion, number>();
  #removed: Uint8Array[] = [];
  #loaded: boolean;
  #hasMoved = false;

  /** @param schema of the batches that come in, which the plan has checked to have the definition's columns. */
  constructor(definition: EnrichDefinition, schema: Schema, start: EnrichStart) {
    this.operatorId = definition.operatorId;
    this.#definition = definition;
    const added = enrichedFields(definition, schema).map((field) => ({ ...field, name: lookedUp(field.name) }));
    this.#outputSchema = schema.with(...added);
    this.#watermarks = new PartitionWatermarks([], start.holds?.[definition.stream]);
    this.#loaded = start.state === 'empty';
  }

  /** The input's schema, and the table's columns as they were looked up. */
  get outputSchema(): Schema {
    return this.#outputSchema;
  }

  /** How many versions are kept. */
  get versionCount(): number {
    return this.#versions.reduce((sum, versions) => sum + (versions?.length ?? 0), 0);
  }

  /** Reads the table once, before the first batch: a look-up for each record would cost more than the memory. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    if (this.#loaded) return;
    this.#loaded = true;
    for await (const { key: name, value } of reader.scan(this.operatorId)) {
      if (name.length === watermarksName.length) {
        for (const { partition, watermarkMs } of readWatermarks(value))
          this.#watermarks.advance(partition, watermarkMs);
        continue;
      }
      const { key, version } = readVersion(name, value, this.#definition.columns.length);
      this.#insert(this.#index.findOrInsertKey(key), version);
    }
  }

  /** The records with what the table says of them; {@link enrich} tells of the others too. */
  apply(batch: RecordBatch): RecordBatch {
    return this.enrich(batch).records;
  }

  /** Takes the table's versions of a batch in, and looks up the keys of its records, row by row. */
  enrich(batch: RecordBatch): Enriched {
    const { table, stream, on, key, columns, asOf, missing } = this.#definition;
    const inputs = columnOf(batch, inputColumn);
    assert(inputs.kind === 'number');
    const keys = { looked: encodeKeys(batch, [on]), filed: encodeKeys(batch, [key]) };
    const kept = columns.map((name) => columnOf(batch, name));
    const found: JoinValue[][] = columns.map(() => []);
    const rows: number[] = [];
    let absorbed = 0;
    let dropped = 0;
    for (let row = 0; row < batch.rowCount; row++) {
      const input = isValid(inputs, row) ? inputs.values[row] : null;
      const eventTimeMs = batch.eventTimesMs[row] ?? 0;
      const isMark = ((batch.flags[row] ?? 0) & MARK) !== 0;
      if (input === table && !isMark) {
        absorbed++;
        if (keys.filed.present !== null && keys.filed.present[row] === 0) continue;
        const [partition, offset] = [batch.partitions[row] ?? 0, batch.offsets[row] ?? 0];
        const slot = this.#index.findOrInsert(keys.filed.slab, row);
        this.#file(slot, {
          timeMs: eventTimeMs,
          partition,
          offset,
          values: ((batch.flags[row] ?? 0) & DELETED) !== 0 ? null : kept.map((column) => valueAt(column, row)),
        });
        continue;
      }
      let version: TableVersion | null = null;
      if (input === stream) {
        this.#watermarks.advance(batch.partitions[row] ?? 0, batch.watermarksMs[row] ?? -Infinity);
        this.#hasMoved = true;
        const hasKey = keys.looked.present === null || keys.looked.present[row] === 1;
        const slot = hasKey ? this.#index.find(keys.looked.slab, row) : -1;
        version = slot < 0 ? null : this.#versionAt(slot, asOf === 'latest' ? Infinity : eventTimeMs);
        if ((version?.values ?? null) === null && missing === 'drop' && !isMark) {
          dropped++;
          continue;
        }
      }
      rows.push(row);
      found.forEach((values, column) => values.push(version?.values?.[column] ?? null));
    }
    const passed = rows.length === batch.rowCount ? batch : selectRows(batch, Int32Array.from(rows));
    const added = found.map((values, column) => {
      return valuesColumn(this.#outputSchema.field(lookedUp(columns[column] ?? ''))?.type ?? 'double', values);
    });
    const records = { ...passed, schema: this.#outputSchema, columns: [...passed.columns, ...added] };
    return { records, absorbed, dropped };
  }

  takeChanges(): readonly StateWrite[] {
    const { operatorId } = this;
    const writes: StateWrite[] = this.#removed.map((key) => ({ operatorId, key, value: null }));
    for (const [version, slot] of this.#changed) {
      writes.push({ operatorId, key: versionName(this.#index.keyOf(slot), version), value: writeVersion(version) });
    }
    if (this.#hasMoved) {
      writes.push({ operatorId, key: watermarksName, value: writeWatermarks(this.#watermarks.entries()) });
    }
    this.dropChanges();
    return writes;
  }

  dropChanges(): void {
    this.#changed.clear();
    this.#removed = [];
    this.#hasMoved = false;
  }

  /** Files a version, and forgets those that no record in time can ask for: when a key gets a new one, so that a key that does not change costs nothing. */
  #file(slot: number, version: TableVersion): void {
    const { asOf, allowedLatenessMs } = this.#definition;
    const before = this.#versions[slot] ?? [];
    if (asOf === 'latest') {
      for (const old of before) this.#remove(slot, old);
      this.#versions[slot] = version.values === null ? [] : [version];
      if (version.values === null) return;
    } else {
      const versions = this.#insert(slot, version);
      const horizonMs = this.#watermarks.minimumMs() - allowedLatenessMs;
      const first = Math.max(0, firstAfter(versions, horizonMs) - 1);
      for (const old of versions.splice(0, first)) if (old !== version) this.#remove(slot, old);
      if (!versions.includes(version)) return;
    }
    this.#changed.set(version, slot);
  }

  #remove(slot: number, version: TableVersion): void {
    this.#changed.delete(version);
    this.#removed.push(versionName(this.#index.keyOf(slot), version));
  }

  #insert(slot: number, version: TableVersion): TableVersion[] {
    const versions = (this.#versions[slot] ??= []);
    let at = versions.length;
    while (at > 0 && isAfter(versions[at - 1], version)) at--;
    versions.splice(at, 0, version);
    return versions;
  }

  /** The key's newest version that is not later. */
  #versionAt(slot: number, timeMs: number): TableVersion | null {
    const versions = this.#versions[slot] ?? [];
    return versions[firstAfter(versions, timeMs) - 1] ?? null;
  }
}

/** What a table's column is called once it was looked up, while the operators of several tables are gone through: its own name is the table's own records'. */
export function lookedUp(column: string): string {
  return `(${column})`;
}

function isAfter(a: TableVersion | undefined, b: TableVersion): boolean {
  return a !== undefined && (a.timeMs - b.timeMs || a.partition - b.partition || a.offset - b.offset) > 0;
}

/** Where the first version stands that is later; the versions' number where there is none. */
function firstAfter(versions: readonly TableVersion[], timeMs: number): number {
  let low = 0;
  let high = versions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((versions[middle]?.timeMs ?? Infinity) <= timeMs) low = middle + 1;
    else high = middle;
  }
  return low;
}
