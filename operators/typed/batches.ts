import { strict as assert } from 'node:assert';
import { concatMap, from, lastValueFrom, map, of, type Observable, type OperatorFunction } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import { runSection } from '../../engine/execution/section.ts';
import { selectRows, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import { arrivedRows } from './arrived-rows.ts';
import { arrivedOfSeveral } from './read-several.ts';
import type { Stream } from './stream.ts';
import { emptyStart, noState, type Batch, type Shape } from './stream-operator.ts';

/** How rows come in. */
export interface ArrivalOptions {
  /** Which partition a row is in; default: all in one. */
  readonly partitionOf?: (row: object) => number;
  /** How many rows are a batch; default 1,000. No answer depends on it. */
  readonly batchSize?: number;
}

/**
 * Rows as the batches of a topic's stream, in arrival order, for a plain RxJS `pipe` of typed operators. What the source's own `pipe` made of them already has to come once more.
 *
 *     batchesOf(payments, rows).pipe(withWatermark('at', '10s'), filter(({ amount }) => amount > 10), rows()).subscribe(…)
 *
 * @throws {TypeError} where a row is not of the topic's fields.
 */
export function batchesOf<S extends Shape>(
  source: Stream<S>,
  given: readonly S['row'][],
  { partitionOf = () => 0, batchSize = 1_000 }: ArrivalOptions = {},
): Observable<Batch<S>> {
  const { plan } = source;
  if (plan.schema !== source.source.schema || plan.eventTime !== null) {
    throw new SluiceError(
      'STREAM_NOT_A_SOURCE',
      'batchesOf must be given a topic as it is: pipe the operators behind it',
    );
  }
  const whole = arrivedRows(plan.schema, given, { partitionOf });
  return from(cuts(whole, batchSize)).pipe(
    map((records): Batch<S> => ({ records, plan, leftOut: { filtered: 0, duplicate: 0, late: 0 } })),
  );
}

/** The records of each batch as plain objects, one by one: the way from typed operators to all others of RxJS. */
export function rows<S extends Shape>(): OperatorFunction<Batch<S>, S['row']> {
  return concatMap(({ records }) => from(toRows(records) as S['row'][]));
}

/**
 * Runs a stream over some rows, with all state in memory, and gives what comes out: for tests, examples and notebooks. Watermarks, late records and order are as in a job.
 * Where several streams meet, a row says which topic it is of, and they are read in the order in which they are given: `{ orders: { id: 'o1', … } }`.
 *
 * @throws {SluiceError} `BAD_RECORD` for a record that would be a dead letter; `STREAM_WITHOUT_TIME`, `INPUT_UNKNOWN`.
 * @throws {TypeError} where a row is not of the topic's fields.
 */
export async function collect<S extends Shape>(
  stream: Stream<S>,
  given: readonly object[],
  { partitionOf = () => 0, batchSize = 1_000 }: ArrivalOptions = {},
): Promise<readonly S['row'][]> {
  const { inputs } = stream;
  const [first, second] = inputs;
  assert(first !== undefined, 'a stream reads something');
  const { schema, eventTime } = first;
  const whole =
    second === undefined
      ? arrivedRows(schema, given, { partitionOf, eventTimeField: eventTime.field })
      : arrivedOfSeveral(inputs, given, { partitionOf });
  const rules = inputs.map((input) => ({ delayMs: input.eventTime.delayMs, maxFutureSkewMs: 0 }));
  const start = emptyStart();
  const section = stream.openSection(start, noState);
  const results: S['row'][] = [];
  for (const batch of cuts(whole, batchSize)) {
    stampWatermarks(batch, null, start.watermarks, { inputs: rules });
    const { records, absorbed, deadLetters } = await lastValueFrom(of(batch).pipe(runSection(section)));
    const [letter] = [...deadLetters, ...(absorbed?.spoiled ?? [])];
    if (letter !== undefined) {
      throw new SluiceError(
        'BAD_RECORD',
        `collect must not meet a bad record; row ${letter.offset} of partition ${letter.partition} is: ${letter.message} (${letter.code})`,
      );
    }
    results.push(...(toRows(records) as S['row'][]));
  }
  return results;
}

function cuts(whole: RecordBatch, size: number): RecordBatch[] {
  const parts: RecordBatch[] = [];
  for (let at = 0; at < whole.rowCount; at += size) {
    const count = Math.min(size, whole.rowCount - at);
    parts.push(
      selectRows(
        whole,
        Int32Array.from({ length: count }, (_, index) => at + index),
      ),
    );
  }
  return parts;
}
