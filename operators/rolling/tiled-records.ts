import { COMPACTED, LATE } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import { paneAggregatorOf, runPaneWalk } from './pane-aggregators.ts';
import { decodePanes, encodePanes, newestInPanesMs } from './pane-format.ts';
import { layOutPanes, type PaneLayout } from './pane-layout.ts';
import { PaneStore } from './pane-store.ts';
import { paneStartMs } from './pane-times.ts';
import { PaneWalk } from './pane-walk.ts';
import type { PaneRule, RollingDefinition } from './rolling-definition.ts';
import type { Reading, RollingLayout } from './rolling-layout.ts';
import type { RollingRecords } from './rolling-records.ts';
import { RowReadings } from './row-readings.ts';

/** The windows that end at the same record, with the aggregators that answer them. */
interface PreparedReading {
  readonly reading: Reading;
  readonly walks: readonly {
    readonly run: Reading['walks'][number];
    readonly aggregator: ReturnType<typeof paneAggregatorOf>;
  }[];
}

/**
 * The records of a rolling operator in panes: as `ExactRecords`, with windows that begin at the start of a pane (semantics, "Rolling features"; ADR 0043).
 *
 * What an answer sees is told by the log alone. With `W(e)` the watermark of the record's own partition, records up to `pane start of (W(e) − longest delay − allowed lateness)` are seen as
 * whole panes: no window of a record in time ends there, and one of a degraded record that would is cut off at the pane's start. Which of them are still kept one by one is a matter of memory:
 * aggregates are functions of the set of records, whatever its form.
 *
 * Cost a record: some binary searches, and one walk of the longest window's panes for each (column, aggregate).
 */
export class TiledRecords implements RollingRecords {
  readonly layout: RollingLayout;
  /** Panes have no texts. */
  readonly dictionary: KeyIndex = new KeyIndex();
  readonly #layout: PaneLayout;
  /** Whether keys are kept in panes once they have too many records, and not from the beginning. */
  readonly #compacts: boolean;
  readonly #store: PaneStore;
  readonly #walk: PaneWalk;
  readonly #readings: readonly PreparedReading[];
  /** For keys that are not compacted. */
  readonly #rowReadings: RowReadings;
  readonly #lowsMs: Float64Array;
  readonly #results: Float64Array;
  /** The stored columns of the record at hand. */
  readonly #values: Float64Array;

  /** @param schema the input's schema, which the plan has checked to have the definition's columns. */
  constructor(definition: RollingDefinition, rule: PaneRule, schema: Schema) {
    this.#layout = layOutPanes(definition, rule, schema);
    this.layout = this.#layout.rolling;
    this.#compacts = rule.aboveRecords !== undefined;
    const { columns, readings } = this.layout;
    this.#store = new PaneStore(this.#layout);
    const windows = Math.max(1, ...readings.map(({ lengthsMs }) => lengthsMs.length));
    this.#walk = new PaneWalk(this.#store, rule.sizeMs, windows);
    this.#readings = readings.map((reading) => prepare(reading, this.#layout));
    this.#rowReadings = new RowReadings(readings);
    this.#lowsMs = new Float64Array(windows);
    this.#results = new Float64Array(windows);
    this.#values = new Float64Array(columns.length);
  }

  get heldBytes(): number {
    return this.#store.heldBytes;
  }

  horizonMs(watermarkMs: number): number {
    return paneStartMs(watermarkMs - this.layout.retentionMs, this.#layout.rule.sizeMs);
  }

  /** Forgets also which records there were one by one, where they can be seen as a part of a pane only. */
  forget(slot: number, watermarkMs: number): void {
    this.#store.trim(slot, this.horizonMs(watermarkMs));
    if (!this.#compacts) this.#store.seal(slot, this.#panesToMs(watermarkMs));
  }

  answer(
    slot: number,
    row: number,
    eventTimeMs: number,
    watermarkMs: number,
    inputs: readonly Float64Array[],
    answers: readonly Float64Array[],
  ): number {
    const values = this.#values;
    for (let column = 0; column < values.length; column++) values[column] = inputs[column]?.[row] ?? NaN;
    const isExact = this.#compacts && this.#store.sealedToMs(slot) <= this.horizonMs(watermarkMs);
    return isExact
      ? this.#answerFromRows(slot, eventTimeMs, watermarkMs, row, answers)
      : this.#read(slot, eventTimeMs, watermarkMs, row, answers) | this.#take(slot, eventTimeMs, watermarkMs);
  }

  newestMs(slot: number): number {
    return this.#store.newestMs(slot);
  }

  clear(slot: number): void {
    this.#store.clear(slot);
  }

  read(slot: number, bytes: Uint8Array): void {
    decodePanes(bytes, this.#store, slot, this.#layout);
  }

  write(slot: number): Uint8Array {
    return encodePanes(this.#store, slot, this.#layout);
  }

  newestStoredMs(bytes: Uint8Array): number {
    return newestInPanesMs(bytes);
  }

  /** Without texts there is nothing to give back. */
  tidy(): void {}

  /** Records up to here are seen as whole panes by one that comes at this watermark. */
  #panesToMs(watermarkMs: number): number {
    return paneStartMs(watermarkMs - this.#layout.looseMs, this.#layout.rule.sizeMs);
  }

  /** Answers every window of the record, before it is taken in, and says whether one reached into panes that its key was compacted to. */
  #read(slot: number, eventTimeMs: number, watermarkMs: number, row: number, answers: readonly Float64Array[]): number {
    const { sizeMs } = this.#layout.rule;
    const results = this.#results;
    const lowsMs = this.#lowsMs;
    const horizonMs = this.horizonMs(watermarkMs);
    const sealedToMs = this.#store.sealedToMs(slot);
    const compacts = this.#compacts;
    const panesToMs = compacts ? sealedToMs : Math.max(this.#panesToMs(watermarkMs), sealedToMs);
    let seen = 0;
    for (const { reading, walks } of this.#readings) {
      const { delayMs, current, lengthsMs } = reading;
      const endMs = eventTimeMs - delayMs;
      const highMs = endMs < panesToMs ? paneStartMs(endMs, sizeMs) : endMs;
      for (let w = 0; w < lengthsMs.length; w++) {
        const startMs = endMs - (lengthsMs[w] ?? 0);
        const isWhole = !compacts || startMs < panesToMs;
        lowsMs[w] = Math.max(horizonMs, isWhole ? paneStartMs(startMs, sizeMs) : startMs);
        if (compacts && (lowsMs[w] ?? 0) < panesToMs) seen = COMPACTED;
      }
      this.#walk.find(slot, highMs, lowsMs, lengthsMs.length);
      for (const { run, aggregator } of walks) {
        const own = current === 'exclude' ? NaN : run.column < 0 ? 1 : (this.#values[run.column] ?? NaN);
        runPaneWalk(aggregator, this.#walk, run.windows, eventTimeMs, own, results);
        for (let w = 0; w < run.outputs.length; w++) {
          const answer = answers[run.outputs[w] ?? 0];
          if (answer !== undefined) answer[row] = results[w] ?? NaN;
        }
      }
    }
    return seen;
  }

  /** Answers a record of a key of which nothing that can be seen is compacted, with the very bits of an exact operator, and takes it in, unless it is late. */
  #answerFromRows(
    slot: number,
    eventTimeMs: number,
    watermarkMs: number,
    row: number,
    answers: readonly Float64Array[],
  ): number {
    const { rows } = this.#store;
    const values = this.#values;
    const position = rows.insert(slot, eventTimeMs);
    const chunk = rows.chunk(slot);
    const start = rows.start(slot);
    const stride = rows.stride(slot);
    const own = start + position;
    for (let column = 0; column < values.length; column++) chunk[own + (1 + column) * stride] = values[column] ?? NaN;
    this.#rowReadings.read(chunk, start, own, stride, eventTimeMs, this.horizonMs(watermarkMs), row, answers);
    if (eventTimeMs >= watermarkMs - this.layout.retentionMs && this.#store.sealedToMs(slot) === -Infinity) {
      this.#compact(slot, watermarkMs);
      return 0;
    }
    rows.removeAt(slot, position);
    return this.#take(slot, eventTimeMs, watermarkMs);
  }

  /** Takes the record in, unless it is late. */
  #take(slot: number, eventTimeMs: number, watermarkMs: number): number {
    if (eventTimeMs < watermarkMs - this.layout.retentionMs) return LATE;
    this.#store.insert(slot, eventTimeMs, this.#values);
    this.#compact(slot, watermarkMs);
    return 0;
  }

  /** Compacts a key that has too many records now. */
  #compact(slot: number, watermarkMs: number): void {
    const { aboveRecords } = this.#layout.rule;
    if (aboveRecords === undefined) return;
    if (this.#store.recordsAfter(slot, this.horizonMs(watermarkMs)) <= aboveRecords) return;
    this.#store.seal(slot, this.#panesToMs(watermarkMs));
  }
}

function prepare(reading: Reading, layout: PaneLayout): PreparedReading {
  return {
    reading,
    walks: reading.walks.map((run) => {
      const part = layout.parts.find(({ column }) => column === run.column);
      if (part === undefined) throw new RangeError('each walk is of a stored column, or of the records');
      return { run, aggregator: paneAggregatorOf(run.function, part) };
    }),
  };
}
