import type { Arbitrary } from 'fast-check';
import type fastCheck from 'fast-check';
import type { Field, Schema } from '../record/schema.ts';
import type { Row } from './compare-rows.ts';

/** What streams are to look like. */
export interface StreamShape {
  /** The field that is the event time; it need not be in the schema. */
  readonly eventTimeField: string;
  /** Rows come at most so far behind the newest. */
  readonly delayMs: number;
  /** Default 40. */
  readonly maxRows?: number;
  /** The longest step of time from row to row; default 5 × the delay, at least 10. A third of the steps are 0, which makes ties. */
  readonly maxStepMs?: number;
  /** How many texts each string field takes; default 4. */
  readonly texts?: number;
  /** Whether some rows repeat earlier ones whole; default `none`. */
  readonly repeats?: 'some' | 'none';
  /** Whether some rows come after the watermark has passed them; default `none`. */
  readonly late?: 'some' | 'none';
}

interface Draft {
  readonly stepMs: number;
  readonly behindMs: number;
  readonly isLate: boolean;
  readonly lateByMs: number;
  readonly repeatOf: number | null;
  readonly values: Row;
}

/**
 * Streams of a schema in arrival order, for property tests: disorder within the delay, ties, nulls in optional fields, and, where asked for, repeats and late rows. They
 * shrink to few rows, in order, one step apart. Any array of `rows` is a stream of one partition; keys repeat often, since texts are few.
 *
 * The kit does not depend on fast-check: hand yours over, `arbitraryStream(fc, schema, { … })`.
 */
export function arbitraryStream(fc: typeof fastCheck, schema: Schema, shape: StreamShape): Arbitrary<Row[]> {
  const { eventTimeField, delayMs, maxRows = 40, repeats = 'none', late = 'none' } = shape;
  const maxStepMs = shape.maxStepMs ?? Math.max(10, 5 * delayMs);
  const fields = schema.fields.filter(({ name }) => name !== eventTimeField);
  const values = fc.record(
    Object.fromEntries(fields.map((field) => [field.name, valueOf(fc, field, shape.texts ?? 4)])),
  );
  const rare = (on: 'some' | 'none'): Arbitrary<boolean> =>
    on === 'none' ? fc.constant(false) : fc.integer({ min: 0, max: 7 }).map((roll) => roll === 7);
  const draft: Arbitrary<Draft> = fc.record({
    stepMs: fc.oneof(fc.constant(0), { arbitrary: fc.integer({ min: 0, max: maxStepMs }), weight: 2 }),
    behindMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: delayMs })),
    isLate: rare(late),
    lateByMs: fc.integer({ min: 1, max: 4 * maxStepMs }),
    repeatOf: fc.tuple(rare(repeats), fc.nat(8)).map(([isRepeat, back]) => (isRepeat ? back : null)),
    values,
  });
  return fc.array(draft, { maxLength: maxRows }).map((drafts) => rowsOf(drafts, eventTimeField, delayMs, late));
}

/** Long before now, and not at the epoch, so that nothing works by chance because 0 stands for nothing. */
const startMs = 1_000_000;

function rowsOf(drafts: readonly Draft[], eventTimeField: string, delayMs: number, late: 'some' | 'none'): Row[] {
  const rows: { readonly row: Row; readonly eventTimeMs: number }[] = [];
  let newestMs = startMs;
  for (const { stepMs, behindMs, isLate, lateByMs, repeatOf, values } of drafts) {
    const earlier = repeatOf === null ? undefined : rows.at(-1 - repeatOf);
    if (earlier !== undefined && (late === 'some' || earlier.eventTimeMs >= newestMs - delayMs)) {
      rows.push(earlier);
      continue;
    }
    const nowMs = newestMs + stepMs;
    const eventTimeMs = nowMs - (isLate ? delayMs + lateByMs : behindMs);
    newestMs = Math.max(newestMs, eventTimeMs);
    rows.push({ row: { ...values, [eventTimeField]: eventTimeMs }, eventTimeMs });
  }
  return rows.map(({ row }) => row);
}

function valueOf(fc: typeof fastCheck, { name, type, presence }: Field, texts: number): Arbitrary<unknown> {
  const byType: Readonly<Record<Field['type'], () => Arbitrary<unknown>>> = {
    string: () => fc.integer({ min: 1, max: texts }).map((number) => `${name} ${number}`),
    boolean: () => fc.boolean(),
    long: () => fc.integer({ min: -5, max: 20 }),
    timestamp: () => fc.integer({ min: startMs, max: startMs + 100_000 }),
    double: () =>
      fc.oneof(
        fc.integer({ min: -5, max: 20 }),
        fc.double({ min: -1e6, max: 1e6, noNaN: true, noDefaultInfinity: true }),
      ),
  };
  const value = byType[type]();
  return presence === 'optional' ? fc.option(value, { nil: null, freq: 5 }) : value;
}
