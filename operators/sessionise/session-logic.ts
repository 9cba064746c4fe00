import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import { LATE, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Field, Schema } from '../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { HoldRule } from '../../engine/time/partition-watermarks.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import { KeyedEntries, type EntryFormat } from '../keyed/keyed-entries.ts';
import { ScopedWatermarks, type WatermarkScope } from '../keyed/scoped-watermarks.ts';
import { columnOfCells, type Cell } from '../row/output-rows.ts';

/** Which records of a key belong together, and for how long a key is remembered. Frozen plain data. */
export interface SessioniseDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The key's columns, in order. */
  readonly key: readonly string[];
  /** A record this long after the newest of its key's session begins another one. */
  readonly gapMs: number;
  /** A key is forgotten once its watermark is this long past its newest record; its sessions are then numbered from 1 again. At least the gap. */
  readonly forgetMs: number;
  /** How far the watermark is behind the newest record of a partition. */
  readonly delayMs: number;
  /** Of records of several inputs: each one's delay, in the place of `delayMs`; see `ScopedWatermarks`. */
  readonly inputDelaysMs?: readonly number[];
  readonly closedBy: WatermarkScope;
}

/** What each record gets: the session's name, its number among the sessions of its key, and the event time of the record that began it. */
export const sessionFields: readonly Field[] = [
  { name: 'session_id', type: 'string', presence: 'optional' },
  { name: 'session_number', type: 'long', presence: 'optional' },
  { name: 'session_start', type: 'timestamp', presence: 'optional' },
];

/** A key's current session. Mutable. */
export interface KeySession {
  number: number;
  startMs: number;
  newestMs: number;
}

const formatVersion = 1;

/** How a key's session is stored: `u8 version · f64 number · f64 start · f64 newest`, little-endian. */
export const sessionFormat: EntryFormat<KeySession> = {
  encode({ number, startMs, newestMs }) {
    const to = new StateWriter();
    to.u8(formatVersion);
    for (const value of [number, startMs, newestMs]) to.f64(value);
    return to.take();
  },
  decode(bytes) {
    const from = new StateBytes(bytes);
    const version = from.u8();
    if (version !== formatVersion) {
      throw new SluiceError(
        'STATE_FORMAT',
        `a stored session must have version ${formatVersion}; got ${version}: rebuild the state from the log`,
      );
    }
    return { number: from.f64(), startMs: from.f64(), newestMs: from.f64() };
  },
};

/**
 * Gives each record the session that it belongs to, at once, with no waiting for the session's end (docs/patterns.md):
 *
 *     event time   ──x──x───x───────────────x──x──▶
 *                    └── session 1 ──┘  gap  └ 2 …
 *
 * By the records of the key before it in arrival order: one that is the gap or more after the newest of them begins a session; one that is the gap or more before the session's start is of an
 * earlier one, and is answered null, flagged late, and kept out of state; all others belong to the session, which keeps the start that it was first given out with. A record without a key has none.
 */
export class SessionLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: SessioniseDefinition;
  readonly #outputSchema: Schema;
  readonly #watermarks: ScopedWatermarks;
  readonly #entries: KeyedEntries<KeySession>;

  /** @param schema the input's schema, which the plan has checked to have the key, and none of the session's fields. */
  constructor(
    definition: SessioniseDefinition,
    schema: Schema,
    start: { readonly state: 'empty' | 'stored'; readonly hold?: HoldRule },
  ) {
    const { operatorId, closedBy, delayMs, inputDelaysMs, gapMs, forgetMs } = definition;
    assert(forgetMs >= gapMs, 'a session that may go on must be remembered');
    this.operatorId = operatorId;
    this.#definition = definition;
    this.#outputSchema = schema.with(...sessionFields);
    this.#watermarks = new ScopedWatermarks(closedBy, inputDelaysMs ?? delayMs, start.hold);
    this.#entries = new KeyedEntries(operatorId, sessionFormat, this.#watermarks, start);
  }

  /** How many keys are remembered. */
  get keyCount(): number {
    return this.#entries.size;
  }

  /** Reads all keys once, before the first batch: each is to be forgotten in its time, whatever key the next record has. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    await this.#entries.load(reader, ({ newestMs }) => newestMs + this.#definition.forgetMs);
  }

  apply(batch: RecordBatch): RecordBatch {
    const { slab, present } = encodeKeys(batch, this.#definition.key);
    const ids: Cell[] = [];
    const numbers: Cell[] = [];
    const starts: Cell[] = [];
    const flags = batch.flags.slice();
    for (const idle of batch.idle ?? []) this.#forget(this.#watermarks.leave(idle));
    for (let row = 0; row < batch.rowCount; row++) {
      const scope = this.#watermarks.scopeOf(batch.partitions[row] ?? 0);
      this.#watermarks.moveTo(batch, row);
      this.#forget(scope);
      const hasKey = present === null || present[row] === 1;
      const session = hasKey ? this.#sessionOf(batch, row, slab, scope) : null;
      if (hasKey && session === null) flags[row] = (flags[row] ?? 0) | LATE;
      ids.push(session === null ? null : idOf(slab.data.subarray(slab.offsets[row], slab.offsets[row + 1]), session));
      numbers.push(session?.number ?? null);
      starts.push(session?.startMs ?? null);
      this.#watermarks.movePast(batch, row);
      this.#forget(scope);
    }
    const columns = [columnOfCells(true, ids), columnOfCells(false, numbers), columnOfCells(false, starts)];
    return { ...withColumns(batch, this.#outputSchema, columns), flags };
  }

  takeChanges(): readonly StateWrite[] {
    return this.#entries.takeChanges();
  }

  dropChanges(): void {
    this.#entries.dropChanges();
  }

  /** The session of a record, moved past it; `null` where it is of an earlier one. */
  #sessionOf(
    batch: RecordBatch,
    row: number,
    slab: ReturnType<typeof encodeKeys>['slab'],
    scope: number,
  ): Readonly<KeySession> | null {
    const { gapMs, forgetMs } = this.#definition;
    const t = batch.eventTimesMs[row] ?? 0;
    let entry = this.#entries.find(slab, row, scope);
    if (entry === undefined) {
      entry = this.#entries.insert(slab, row, scope, { number: 1, startMs: t, newestMs: t });
    } else {
      const session = entry.state;
      if (session.startMs - t >= gapMs) return null;
      if (t - session.newestMs >= gapMs) {
        session.number++;
        session.startMs = t;
      }
      session.newestMs = Math.max(session.newestMs, t);
      this.#entries.markChanged(entry);
    }
    this.#entries.schedule(entry, entry.state.newestMs + forgetMs);
    return entry.state;
  }

  #forget(scope: number): void {
    for (let due = this.#entries.takeDue(scope); due !== null; due = this.#entries.takeDue(scope)) {
      this.#entries.remove(due);
    }
  }
}

/** `KEY@START`, the parts of a key joined by `/`, the start in milliseconds: a key begins no two sessions at one instant while it is remembered. */
function idOf(key: Uint8Array, { startMs }: Readonly<KeySession>): string {
  const text = key.includes(0xff) ? partsOf(key).join('/') : Buffer.from(key).toString();
  return `${text}@${startMs}`;
}

function partsOf(key: Uint8Array): readonly string[] {
  const at = key.indexOf(0xff);
  if (at < 0) return [Buffer.from(key).toString()];
  return [Buffer.from(key.subarray(0, at)).toString(), ...partsOf(key.subarray(at + 1))];
}
