import { strict as assert } from 'node:assert';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { FeatureColumn } from '../../features/feature-plan.ts';
import { modelValues } from '../../features/model-input.ts';
import { encodeKeys } from '../../operators/key/encode-keys.ts';

/** Which columns of replayed records become rows to learn from. */
export interface FeatureRowsShape {
  /** In the model's order: features, and fields of the record. */
  readonly inputs: readonly FeatureColumn[];
  /** 1 for what is to be found. */
  readonly label: string;
  /** The entity whose alerts are counted: the card. */
  readonly entity: string;
  /** What a record is about, in money; `null` where it has none. */
  readonly amount: string | null;
}

/** Rows in arrival order, in columns. */
export interface FeatureRows {
  readonly rowCount: number;
  readonly eventTimesMs: Float64Array;
  readonly labels: Uint8Array;
  /** Dense numbers of the entities, in order of appearance. */
  readonly entities: Uint32Array;
  readonly amounts: Float64Array;
  /** As the model gets them: defaults in place, NaN for missing. */
  readonly columns: readonly Float32Array[];
}

/** The columns of a schema as model inputs: those that features make with their defaults, the record's own without. */
export function inputsNamed(
  names: readonly string[],
  schema: Schema,
  features: readonly FeatureColumn[],
): readonly FeatureColumn[] {
  return names.map((name) => {
    const type = schema.field(name)?.type;
    assert(type !== undefined && type !== 'string', `the model input "${name}" must be a numeric column`);
    return features.find((column) => column.name === name) ?? { name, type, default: null };
  });
}

/**
 * Gathers replayed batches into columns to train on. Records outside the range, and records whose label is null, are left out; what they did to
 * the state of others stays.
 */
export class FeatureRowsBuilder {
  readonly #shape: FeatureRowsShape;
  readonly #fromMs: number;
  readonly #toMs: number;
  readonly #entityIndex = new KeyIndex();
  readonly #parts: FeatureRows[] = [];
  #rowCount = 0;

  /** @param range event times `[fromMs, toMs)` to keep. */
  constructor(shape: FeatureRowsShape, range: { readonly fromMs: number; readonly toMs: number }) {
    this.#shape = shape;
    this.#fromMs = range.fromMs;
    this.#toMs = range.toMs;
  }

  /** Takes over a batch's rows. */
  add(batch: RecordBatch): void {
    const labels = columnOf(batch, this.#shape.label);
    assert(labels.kind === 'number', 'a label is a number');
    const kept: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const t = batch.eventTimesMs[row] ?? NaN;
      if (t >= this.#fromMs && t < this.#toMs && (labels.valid === null || labels.valid[row] === 1)) kept.push(row);
    }
    if (kept.length === 0) return;
    const { slab } = encodeKeys(batch, [this.#shape.entity]);
    const amounts = this.#shape.amount === null ? null : columnOf(batch, this.#shape.amount);
    assert(amounts?.kind !== 'utf8', 'an amount is a number');
    const pick = <A extends Float64Array | Uint8Array | Uint32Array | Float32Array>(
      into: A,
      of: (row: number) => number,
    ): A => {
      kept.forEach((row, index) => (into[index] = of(row)));
      return into;
    };
    this.#parts.push({
      rowCount: kept.length,
      eventTimesMs: pick(new Float64Array(kept.length), (row) => batch.eventTimesMs[row] ?? NaN),
      labels: pick(new Uint8Array(kept.length), (row) => (labels.values[row] === 1 ? 1 : 0)),
      entities: pick(new Uint32Array(kept.length), (row) => this.#entityIndex.findOrInsert(slab, row)),
      amounts: pick(new Float64Array(kept.length), (row) => amounts?.values[row] ?? 0),
      columns: this.#shape.inputs.map((input) => {
        const values = modelValues(batch, input);
        return pick(new Float32Array(kept.length), (row) => values[row] ?? NaN);
      }),
    });
    this.#rowCount += kept.length;
  }

  /** All rows that were added. */
  build(): FeatureRows {
    const parts = this.#parts;
    const join = <A extends Float64Array | Uint8Array | Uint32Array | Float32Array>(
      into: A,
      of: (part: FeatureRows) => A,
    ): A => {
      let at = 0;
      for (const part of parts) {
        into.set(of(part), at);
        at += part.rowCount;
      }
      return into;
    };
    return {
      rowCount: this.#rowCount,
      eventTimesMs: join(new Float64Array(this.#rowCount), (part) => part.eventTimesMs),
      labels: join(new Uint8Array(this.#rowCount), (part) => part.labels),
      entities: join(new Uint32Array(this.#rowCount), (part) => part.entities),
      amounts: join(new Float64Array(this.#rowCount), (part) => part.amounts),
      columns: this.#shape.inputs.map((_, index) =>
        join(new Float32Array(this.#rowCount), (part) => part.columns[index] ?? new Float32Array(0)),
      ),
    };
  }
}
