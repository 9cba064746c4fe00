import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import type { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import type { AmendLayout } from './amend-layout.ts';
import { decodeRecord, encodeRecord, recordName, type KeptRecord } from './kept-record.ts';
import { OrderedRecords } from './ordered-records.ts';

/** Where the watermarks are stored; shorter than any record's name. */
export const watermarksName: Uint8Array = Uint8Array.of(0xff);

/** The records of one key of an entity. */
export interface KeyRecords {
  readonly records: OrderedRecords;
  /** Records later than this one see none in their windows that live windows see otherwise. */
  divergedUntilMs: number;
}

/**
 * The records that an amending operator keeps, all of them in memory, since any of them may be amended by the next record: by their keys, in order of event time, and by whose watermark
 * lets them go. They are let go record by record, so that what is there depends on the log alone, and not on how it is cut into batches.
 */
export class KeptRecords {
  readonly #operatorId: string;
  readonly #layout: AmendLayout;
  readonly #watermarks: ScopedWatermarks;
  /** For each entity, its keys. */
  readonly #byKey: readonly Map<string | number, KeyRecords>[];
  readonly #byScope = new Map<number, OrderedRecords>();
  readonly #writer = new StateWriter();
  #changed = new Set<KeptRecord>();
  #removed: KeptRecord[] = [];
  #hasMoved = false;
  #isLoaded: boolean;
  #size = 0;
  #nextOrder = 0;
  #letGoEarly = 0;
  readonly #maxPerKey: number;

  /** @param maxPerKey how many records a key holds at most: the newest by event time. */
  constructor(
    operatorId: string,
    layout: AmendLayout,
    watermarks: ScopedWatermarks,
    { state }: { readonly state: 'empty' | 'stored' },
    maxPerKey: number = Infinity,
  ) {
    this.#operatorId = operatorId;
    this.#maxPerKey = maxPerKey;
    this.#layout = layout;
    this.#watermarks = watermarks;
    this.#byKey = layout.entities.map(() => new Map());
    this.#isLoaded = state === 'empty';
  }

  /** How many records are kept. */
  get size(): number {
    return this.#size;
  }

  /**
   * What a record's windows of an entity are whole behind, as if it were the watermark: where its key holds as many records as it may, older ones may be gone, and what a window of a decision in
   * watch reaches must be newer than its oldest.
   */
  wholeBehindMs(entity: number, record: KeptRecord): number {
    const watermarkMs = this.#watermarks.of(this.#watermarks.scopeOf(record.partition));
    const records = this.#maxPerKey === Infinity ? undefined : this.ofKey(entity, record)?.records;
    if (records === undefined || records.size < this.#maxPerKey) return watermarkMs;
    const oldestMs = records.at(0)?.eventTimeMs ?? -Infinity;
    return Math.max(watermarkMs, oldestMs + (this.#layout.entities[entity]?.keepsMs ?? 0));
  }

  /** {@link wholeBehindMs} of all entities that a record is of: a decision is watched for as long as all that it was made on can be computed again. */
  watchedBehindMs(record: KeptRecord): number {
    const scope = this.#watermarks.scopeOf(record.partition);
    return this.#layout.entities.reduce(
      (latestMs, _, entity) => Math.max(latestMs, this.wholeBehindMs(entity, record)),
      this.#watermarks.of(scope),
    );
  }

  /** How many records full keys have let go before the watermark did, since it was last asked. */
  takeLetGoEarly(): number {
    const count = this.#letGoEarly;
    this.#letGoEarly = 0;
    return count;
  }

  /** Reads everything once, before the first batch. @throws {SluiceError} `STATE_FORMAT` */
  async load(reader: StateReader): Promise<void> {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    for await (const { key, value } of reader.scan(this.#operatorId)) {
      if (key.length === watermarksName.length) {
        const { nextOrder, watermarks } = readMarks(value);
        this.#nextOrder = nextOrder;
        this.#watermarks.restore(watermarks);
        continue;
      }
      this.#place(decodeRecord(new Uint8Array(key), new Uint8Array(value), this.#layout));
    }
    this.#letGoEarly = 0;
  }

  /** Lets go what a scope's watermark has passed by more than records are kept; @returns what must be later to be kept. */
  letGo(scope: number): number {
    const horizonMs = this.#watermarks.of(scope) - this.#layout.keepsMs;
    this.#hasMoved = true;
    const records = this.#byScope.get(scope);
    for (
      let oldest = records?.at(0);
      oldest !== undefined && oldest.eventTimeMs <= horizonMs;
      oldest = records?.at(0)
    ) {
      this.#letGoOf(oldest);
    }
    return horizonMs;
  }

  #letGoOf(record: KeptRecord): void {
    this.#byScope.get(this.#watermarks.scopeOf(record.partition))?.remove(record);
    this.#layout.entities.forEach((_, entity) => this.#removeFromKey(entity, record));
    this.#changed.delete(record);
    this.#removed.push(record);
    this.#size--;
  }

  /** Keeps a record that has just come; it counts as changed. */
  add(record: Omit<KeptRecord, 'order'>): KeptRecord {
    const kept = { ...record, order: this.#nextOrder++ };
    this.#changed.add(kept);
    this.#place(kept);
    return kept;
  }

  /** The records that share a record's key of an entity; `undefined` where it has none. */
  ofKey(entity: number, record: KeptRecord): KeyRecords | undefined {
    const key = this.#keyOf(entity, record);
    return key === null ? undefined : this.#byKey[entity]?.get(key);
  }

  /** Says that a record is to be written with the next flush. */
  markChanged(record: KeptRecord): void {
    this.#changed.add(record);
  }

  /** Says that live windows see a record otherwise than it is kept. */
  markDiverged(record: KeptRecord): void {
    if (record.isDiverged) return;
    record.isDiverged = true;
    this.#diverge(record);
  }

  /** As `StatefulLogic.takeChanges`. */
  takeChanges(): readonly StateWrite[] {
    const operatorId = this.#operatorId;
    const writes: StateWrite[] = this.#removed.map((record) => ({ operatorId, key: recordName(record), value: null }));
    for (const record of this.#changed) {
      writes.push({ operatorId, key: recordName(record), value: encodeRecord(record, this.#writer) });
    }
    if (this.#hasMoved) writes.push({ operatorId, key: watermarksName, value: this.#marks() });
    this.dropChanges();
    return writes;
  }

  /** As `StatefulLogic.dropChanges`. */
  dropChanges(): void {
    this.#changed = new Set();
    this.#removed = [];
    this.#hasMoved = false;
  }

  /** `f64 the next record's order`, then the watermarks. */
  #marks(): Uint8Array {
    this.#writer.f64(this.#nextOrder);
    this.#writer.raw(this.#watermarks.encode());
    return this.#writer.take();
  }

  #place(record: KeptRecord): void {
    const scope = this.#watermarks.scopeOf(record.partition);
    let records = this.#byScope.get(scope);
    if (records === undefined) this.#byScope.set(scope, (records = new OrderedRecords()));
    records.insert(record);
    this.#layout.entities.forEach((_, entity) => {
      const key = this.#keyOf(entity, record);
      const keys = this.#byKey[entity];
      if (key === null || keys === undefined) return;
      let own = keys.get(key);
      if (own === undefined) {
        own = { records: new OrderedRecords(), divergedUntilMs: -Infinity };
        keys.set(key, own);
      }
      own.records.insert(record);
    });
    if (record.isDiverged) this.#diverge(record);
    this.#size++;
    if (this.#maxPerKey !== Infinity) this.#makeRoom(record);
  }

  /** Lets the oldest record of each full key go that a record has come to; a record that no key of its own holds any more is let go altogether. */
  #makeRoom(record: KeptRecord): void {
    this.#layout.entities.forEach((_, entity) => {
      const key = this.ofKey(entity, record);
      const oldest = key === undefined || key.records.size <= this.#maxPerKey ? undefined : key.records.at(0);
      if (oldest === undefined) return;
      this.#removeFromKey(entity, oldest);
      this.#letGoEarly++;
      if (oldest !== record) this.#letGoUnheld(oldest);
    });
    this.#letGoUnheld(record);
  }

  /** Of a record without any key nothing can change. */
  #letGoUnheld(record: KeptRecord): void {
    if (!this.#layout.entities.some((_, entity) => this.holds(entity, record))) this.#letGoOf(record);
  }

  /** Whether a record's key of an entity still holds it. */
  holds(entity: number, record: KeptRecord): boolean {
    const records = this.ofKey(entity, record)?.records;
    return records !== undefined && records.at(records.indexOf(record)) === record;
  }

  #diverge(record: KeptRecord): void {
    this.#layout.entities.forEach(({ reachMs }, entity) => {
      const own = this.ofKey(entity, record);
      if (own !== undefined) own.divergedUntilMs = Math.max(own.divergedUntilMs, record.eventTimeMs + reachMs);
    });
  }

  #removeFromKey(entity: number, record: KeptRecord): void {
    const key = this.#keyOf(entity, record);
    const own = key === null ? undefined : this.#byKey[entity]?.get(key);
    if (key === null || own === undefined) return;
    own.records.remove(record);
    if (own.records.size === 0) this.#byKey[entity]?.delete(key);
  }

  /** A record's key of an entity, fit for a map; `null` where a part of it is null. */
  #keyOf(entity: number, { values }: KeptRecord): string | number | null {
    const parts = this.#layout.entities[entity]?.key ?? [];
    const [only] = parts;
    if (only !== undefined && parts.length === 1) return this.#cellOf(only, values);
    const cells = parts.map((column) => this.#cellOf(column, values));
    return cells.includes(null) ? null : JSON.stringify(cells);
  }

  #cellOf(column: number, { numbers, texts }: KeptRecord['values']): string | number | null {
    const { form, slot } = this.#layout.columns[column] ?? { form: 'number', slot: -1 };
    if (form === 'text') return texts[slot] ?? null;
    const number = numbers[slot] ?? NaN;
    return Number.isNaN(number) ? null : number;
  }
}

/** Reads what stands under {@link watermarksName}. */
export function readMarks(value: Uint8Array): { readonly nextOrder: number; readonly watermarks: Uint8Array } {
  const from = new StateBytes(value);
  const nextOrder = from.f64();
  return { nextOrder, watermarks: from.raw(value.length - 8) };
}
