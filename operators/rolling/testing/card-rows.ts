import fc from 'fast-check';
import { numberColumnOf, utf8ColumnOf, valueAt } from '../../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../../engine/record/record-batch.ts';
import { Schema } from '../../../engine/record/schema.ts';
import type { StateReader, StateWrite } from '../../../engine/state/state-store.ts';
import { stamped } from '../../testing/stamped.ts';

/** The fields of {@link CardRow}, without event time. */
export const cardSchema: Schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

/** A record of the random streams. A card's records are all in one partition. */
export interface CardRow {
  readonly card: string | null;
  readonly amount: number | null;
  readonly flagged: number | null;
  readonly t: number;
}

/** A row's answers by column. */
export type CardAnswer = Readonly<Record<string, number | string | null>>;

const partitionOf = (card: string | null): number => (card === 'b' ? 1 : 0);

/** Rows in arrival order, with the watermarks that a delay of `delayMs` gives. */
export function cardBatch(rows: readonly CardRow[], delayMs = 0): RecordBatch {
  const batch = recordBatch(
    cardSchema,
    [
      utf8ColumnOf(rows.map(({ card }) => card)),
      numberColumnOf(rows.map(({ amount }) => amount)),
      numberColumnOf(rows.map(({ flagged }) => flagged)),
    ],
    {
      partition: Int32Array.from(rows, ({ card }) => partitionOf(card)),
      offset: 0,
      eventTimesMs: Float64Array.from(rows, ({ t }) => t),
    },
  );
  return stamped(batch, delayMs);
}

/** The columns that an operator has added. */
export function cardAnswers(batch: RecordBatch): CardAnswer[] {
  const added = batch.schema.fields.slice(cardSchema.fields.length);
  return Array.from({ length: batch.rowCount }, (_, row) =>
    Object.fromEntries(
      added.map(({ name }, index) => {
        const column = batch.columns[cardSchema.fields.length + index];
        return [name, column === undefined ? null : valueAt(column, row)];
      }),
    ),
  );
}

/** Numbers that make trouble when they are added: of very different sizes, cancelling, equal, signed zeros. */
const amount = fc.oneof(
  fc.integer({ min: -300, max: 300 }).map((cents) => cents / 100),
  fc.double({ min: -1e6, max: 1e6, noNaN: true }),
  fc.constantFrom(1e16, -1e16, 1, -1, 0.1, 1e-12, 0, -0),
);

const content = fc.record({
  card: fc.constantFrom('a', 'a', 'a', 'b', null),
  amount: fc.option(amount),
  flagged: fc.option(fc.constantFrom(0, 1)),
});

const usualStep = fc.oneof(
  { weight: 7, arbitrary: fc.constantFrom(0, 0, 0, 0, 1, 2, 4) },
  fc.integer({ min: -90, max: 20 }),
);
/** Much at once, then nothing for about as long as windows are, with what is late by a little. */
const burstyStep = fc.oneof(
  { weight: 12, arbitrary: fc.constantFrom(0, 0, 0, 1) },
  { weight: 2, arbitrary: fc.integer({ min: -30, max: 0 }) },
  { weight: 1, arbitrary: fc.integer({ min: 10, max: 70 }) },
);

/** Crowded; mostly forward, with ties, around zero too; sometimes far back, so that some rows are degraded and some late; or in bursts. */
export const cardStreams: fc.Arbitrary<readonly CardRow[]> = fc
  .tuple(
    fc.constantFrom(-40, 0, 1_000),
    fc.oneof(
      fc.array(fc.tuple(content, usualStep), { maxLength: 80, size: 'max' }),
      fc.array(fc.tuple(content, burstyStep), { maxLength: 80, size: 'max' }),
    ),
  )
  .map(([start, steps]) => {
    let now = start;
    return steps.map(([row, step]): CardRow => {
      if (step >= 0) now += step;
      return { ...row, t: step >= 0 ? now : now + step };
    });
  });

/** A store over a plain map. Like LMDB's, its values are views of a Buffer, wherever they happen to lie. */
export class CardStore implements StateReader {
  readonly values: Map<string, Uint8Array> = new Map<string, Uint8Array>();

  /** Stores what an operator has flushed. */
  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('hex');
      if (value === null) this.values.delete(name);
      else this.values.set(name, Buffer.concat([Buffer.from('unaligned'), value]).subarray(9));
    }
  }

  getMany(_operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    return Promise.resolve(keys.map((key) => this.values.get(Buffer.from(key).toString('hex')) ?? null));
  }

  async *scan(): AsyncGenerator<never> {}
}
