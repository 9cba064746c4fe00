import { concatMap, defer, map, of, type Observable } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { runSection, type Section } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { Arrivals } from './arrivals.ts';
import { stepsBehind } from './steps-again.ts';
import type { OpenStep, PlanStep, StreamPlan } from './stream-plan.ts';

/** What the types know of a stream: its records, and by which fields it is keyed (`null` before `keyBy`). */
export interface Shape {
  readonly row: object;
  readonly key: string | null;
}

/** A shape with a key. */
export interface KeyedShape extends Shape {
  readonly key: string;
}

declare const shape: unique symbol;

/** What of a stream's records did not come through, in sums since its beginning. */
export interface LeftOut {
  readonly filtered: number;
  readonly duplicate: number;
  readonly late: number;
}

/** Records on their way through RxJS, in columns, with what is known of their stream. */
export interface Batch<S extends Shape> {
  readonly records: RecordBatch;
  readonly plan: StreamPlan;
  readonly leftOut: LeftOut;
  /** For the types alone; never there. */
  readonly [shape]?: S;
}

/**
 * An operator of a typed stream: an RxJS operator over batches, which any `pipe` takes, and the plan that a `Stream` makes a job of. The rows `A` come in, `B` go out.
 */
export interface StreamOperator<A extends Shape, B extends Shape> {
  (source: Observable<Batch<A>>): Observable<Batch<B>>;
  /** Called when the stream is written down, before anything runs. */
  readonly plan: PlanStep;
}

/** Makes an operator of its plan. In a plain `pipe` it is built when its first batch comes, over state in memory alone. */
export function streamOperator<A extends Shape, B extends Shape>(planStep: PlanStep): StreamOperator<A, B> {
  const plan: PlanStep = (before) => {
    const planned = planStep(before);
    return { ...planned, plan: { ...planned.plan, again: stepsBehind(before.again, planned) } };
  };
  const operator = (source: Observable<Batch<A>>): Observable<Batch<B>> => defer(() => runAlone<A, B>(source, plan));
  return Object.assign(operator, { plan });
}

function runAlone<A extends Shape, B extends Shape>(
  source: Observable<Batch<A>>,
  planStep: PlanStep,
): Observable<Batch<B>> {
  const rejected = new RejectedRecords('stream');
  let opened: { readonly plan: StreamPlan; readonly section: Section } | null = null;
  let sums: LeftOut = { filtered: 0, duplicate: 0, late: 0 };
  return source.pipe(
    concatMap(({ records, plan, leftOut }) => {
      if (opened === null) {
        const planned = planStep(plan);
        if (plan.emits > 0 && planned.plan.emits > plan.emits) {
          throw new SluiceError(
            'STREAM_EMITS_TWICE',
            'a plain pipe passes on no watermark behind an operator that gives records of its own, so that another one cannot wait for it: pipe both on a stream, and collect or run that',
          );
        }
        const step = planned.open({ start: emptyStart(), state: noState, rejected, arrivals: new Arrivals() });
        opened = { plan: planned.plan, section: sectionOf(step, rejected) };
      }
      const { plan: after, section } = opened;
      return of(records).pipe(
        runSection(section),
        map(({ records: results, filtered, duplicate, absorbed, deadLetters }): Batch<B> => {
          const [letter] = deadLetters;
          if (letter !== undefined) {
            const { partition, offset, code, message } = letter;
            throw new SluiceError(
              'BAD_RECORD',
              `a plain pipe has no dead letters, and must not meet a bad record; the one at partition ${partition}, offset ${offset} is: ${message} (${code})`,
            );
          }
          sums = {
            filtered: sums.filtered + filtered,
            duplicate: sums.duplicate + duplicate,
            late: sums.late + (absorbed?.late.rowCount ?? 0),
          };
          return {
            records: results,
            plan: after,
            leftOut: {
              filtered: leftOut.filtered + sums.filtered,
              duplicate: leftOut.duplicate + sums.duplicate,
              late: leftOut.late + sums.late,
            },
          };
        }),
      );
    }),
  );
}

function sectionOf(step: OpenStep, rejected: RejectedRecords): Section {
  const { logics } = step;
  return step.kind === 'step'
    ? { steps: [step.step], logics, rejected }
    : { steps: [], emit: step.operator, logics, rejected };
}

/** Where a stream begins that has run never before. */
export function emptyStart(): { readonly state: 'empty'; readonly watermarks: PartitionWatermarks } {
  return { state: 'empty', watermarks: new PartitionWatermarks() };
}

/** The store of a stream that keeps nothing. */
export const noState: StateReader = {
  getMany: (_operatorId, keys) => Promise.resolve(keys.map(() => null)),
  async *scan() {
    // Nothing was stored.
  },
};
