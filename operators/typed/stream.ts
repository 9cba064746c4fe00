import { concatMap, map } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { Section, SectionStep } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { emittedOf } from '../flow/emit-flow.ts';
import { Arrivals } from './arrivals.ts';
import { schemaOf, type Fields, type Flat, type RowOf } from './fields.ts';
import { openInput, openSteps } from './open-node.ts';
import { openSection } from './open-section.ts';
import type { Shape, StreamOperator } from './stream-operator.ts';
import type { NodeParts, OpenNode, StreamInput, StreamOrigin, StreamSource } from './stream-origin.ts';
import type { EventTime, PlannedStep, StreamPlan } from './stream-plan.ts';
import { topicOrigin } from './topic-origin.ts';

/**
 * A job written in TypeScript: one topic or several, and the operators that their records go through. It is a description, which runs nothing by itself and may be used again and again: in a
 * test (`collect`, `underTest`), on the embedded log (`LocalLog`), or as the beginning of longer streams.
 *
 * Everything is checked when `pipe` is called, so a stream that exists can run.
 */
export class Stream<S extends Shape> {
  readonly #origin: StreamOrigin;
  readonly #steps: readonly PlannedStep[];
  readonly #plan: StreamPlan;

  /** Made by {@link topic}, by {@link Stream.pipe}, and by what makes one stream of several. */
  constructor(origin: StreamOrigin, steps: readonly PlannedStep[]) {
    this.#origin = origin;
    this.#steps = steps;
    this.#plan = steps.at(-1)?.plan ?? origin.plan;
  }

  /** The one topic that it begins at. @throws {SluiceError} `STREAM_OF_SEVERAL` for a stream that several meet in. */
  get source(): StreamSource {
    const { source } = this.#origin;
    if (source !== null) return source;
    const names = this.inputs.map(({ name }) => name).join(', ');
    throw new SluiceError('STREAM_OF_SEVERAL', `this must be given a stream of one topic; got one of ${names}`);
  }

  /** The topics that it reads, tables first. @throws {SluiceError} `STREAM_WITHOUT_TIME` for one without `withWatermark`. */
  get inputs(): readonly StreamInput[] {
    const { source, inputs } = this.#origin;
    const { arrivals } = this.#plan;
    return source === null ? inputs : [{ ...source, eventTime: this.#eventTimeOf(source), read: 'in turn', arrivals }];
  }

  /** What is known of the records that come out. */
  get plan(): StreamPlan {
    return this.#plan;
  }

  /** What decides the stream's state and results, but for what its functions do. */
  get meaning(): unknown {
    const { source, meaning } = this.#origin;
    const steps = this.#steps.map((step) => step.meaning);
    if (source === null) return [meaning, steps];
    const { topic: name, fields, key } = source;
    return [name, fields, key, this.#timed?.plan.eventTime ?? null, steps];
  }

  /** Builds the operators, as a query does for each life of its task. */
  openSection(start: SectionStart, state: StateReader): Section {
    const { source } = this.#origin;
    const arrivals = new Arrivals();
    const before: readonly SectionStep[] =
      this.#plan.arrivals === 'not told'
        ? []
        : [{ operator: map((batch: RecordBatch) => arrivals.takeFrom(batch)), fate: 'keeps' }];
    if (source !== null && this.#plan.emits <= 1) {
      const section = openSection(this.#steps, start, state, () => new RejectedRecords(source.topic), arrivals);
      return { ...section, steps: [...before, ...section.steps] };
    }
    const { inputs } = this;
    const rejected = new RejectedRecords(inputs.map(({ name }) => name).join(', '));
    const { node, gives } = this.openNode({ start, state, rejected, inputs, arrivals });
    return {
      steps: before,
      logics: node.logics,
      rejected,
      emit: concatMap(async (batch: RecordBatch) => emittedOf(await node.run(batch), batch, gives)),
    };
  }

  /** Builds the operators of a stream that meets others, or has several operators of results. */
  openNode(parts: NodeParts): OpenNode {
    const { source } = this.#origin;
    const origin = source === null ? this.#origin.open(parts) : openInput(source, parts);
    return openSteps(origin, this.#steps, parts);
  }

  get #timed(): PlannedStep | undefined {
    return this.#steps.find(({ plan }) => plan.eventTime !== null);
  }

  #eventTimeOf({ topic: name }: StreamSource): EventTime {
    const eventTime = this.#timed?.plan.eventTime ?? null;
    if (eventTime !== null) return eventTime;
    throw new SluiceError(
      'STREAM_WITHOUT_TIME',
      `a stream must say what event time is before it can run; ${name} has no withWatermark`,
    );
  }

  pipe(): Stream<S>;
  pipe<A extends Shape>(a: StreamOperator<S, A>): Stream<A>;
  pipe<A extends Shape, B extends Shape>(a: StreamOperator<S, A>, b: StreamOperator<A, B>): Stream<B>;
  pipe<A extends Shape, B extends Shape, C extends Shape>(
    a: StreamOperator<S, A>,
    b: StreamOperator<A, B>,
    c: StreamOperator<B, C>,
  ): Stream<C>;
  pipe<A extends Shape, B extends Shape, C extends Shape, D extends Shape>(
    a: StreamOperator<S, A>,
    b: StreamOperator<A, B>,
    c: StreamOperator<B, C>,
    d: StreamOperator<C, D>,
  ): Stream<D>;
  pipe<A extends Shape, B extends Shape, C extends Shape, D extends Shape, E extends Shape>(
    a: StreamOperator<S, A>,
    b: StreamOperator<A, B>,
    c: StreamOperator<B, C>,
    d: StreamOperator<C, D>,
    e: StreamOperator<D, E>,
  ): Stream<E>;
  pipe<A extends Shape, B extends Shape, C extends Shape, D extends Shape, E extends Shape, F extends Shape>(
    a: StreamOperator<S, A>,
    b: StreamOperator<A, B>,
    c: StreamOperator<B, C>,
    d: StreamOperator<C, D>,
    e: StreamOperator<D, E>,
    f: StreamOperator<E, F>,
  ): Stream<F>;
  pipe<
    A extends Shape,
    B extends Shape,
    C extends Shape,
    D extends Shape,
    E extends Shape,
    F extends Shape,
    G extends Shape,
  >(
    a: StreamOperator<S, A>,
    b: StreamOperator<A, B>,
    c: StreamOperator<B, C>,
    d: StreamOperator<C, D>,
    e: StreamOperator<D, E>,
    f: StreamOperator<E, F>,
    g: StreamOperator<F, G>,
  ): Stream<G>;
  pipe<
    A extends Shape,
    B extends Shape,
    C extends Shape,
    D extends Shape,
    E extends Shape,
    F extends Shape,
    G extends Shape,
    H extends Shape,
  >(
    a: StreamOperator<S, A>,
    b: StreamOperator<A, B>,
    c: StreamOperator<B, C>,
    d: StreamOperator<C, D>,
    e: StreamOperator<D, E>,
    f: StreamOperator<E, F>,
    g: StreamOperator<F, G>,
    h: StreamOperator<G, H>,
  ): Stream<H>;
  /**
   * The stream behind some operators, in order; a longer one is piped in two goes. As RxJS's `pipe`, whose operators these are.
   *
   * @throws {SluiceError} what an operator finds wrong with its place: `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN`.
   */
  pipe(...operators: readonly Pick<StreamOperator<Shape, Shape>, 'plan'>[]): Stream<Shape> {
    const steps = [...this.#steps];
    let plan = this.#plan;
    for (const operator of operators) {
      const planned = operator.plan(plan);
      steps.push(planned);
      plan = planned.plan;
    }
    return new Stream(this.#origin, steps);
  }
}

/**
 * The records of a topic, as a stream begins with them.
 *
 *     const payments = topic('payments', { id: 'string', at: 'timestamp', card: 'string', amount: 'double' }, { key: 'card' });
 *
 * @param fields a record's fields; what else a message holds is left out.
 * @param options `key`: the field, or fields, that key the topic: records of one key are in one partition, in order. A record without it is a dead letter.
 * @throws {SluiceError} `FIELD_UNKNOWN` where the key is no field.
 */
export function topic<const F extends Fields>(
  name: string,
  fields: F,
  { key, as = name }: TopicOptions<F>,
): Stream<{ row: Flat<RowOf<F>>; key: null }> {
  const keys: readonly string[] = typeof key === 'string' ? [key] : key;
  for (const field of keys) {
    if (Object.hasOwn(fields, field)) continue;
    throw new SluiceError('FIELD_UNKNOWN', `the key of topic ${name} must be a field of its records; got "${field}"`);
  }
  return new Stream(topicOrigin({ name: as, topic: name, fields, schema: schemaOf(fields), key: keys }), []);
}

/** What {@link topic} is told of a topic beside its fields. */
export interface TopicOptions<F extends Fields> {
  readonly key: (keyof F & string) | readonly (keyof F & string)[];
  /** What it is called beside others; default: its own name. For a topic that one stream reads twice. */
  readonly as?: string;
}
