import { SluiceError } from '../../engine/error.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { Section } from '../../engine/execution/section.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { schemaOf, type Fields, type Flat, type RowOf } from './fields.ts';
import { openSection } from './open-section.ts';
import type { Shape, StreamOperator } from './stream-operator.ts';
import type { PlannedStep, StreamPlan } from './stream-plan.ts';

/** The topic that a stream begins at. */
export interface StreamSource {
  readonly topic: string;
  readonly fields: Fields;
  readonly schema: Schema;
  readonly key: readonly string[];
}

/**
 * A job written in TypeScript: a topic, and the operators that its records go through. It is a description, which runs nothing by itself and may be used again and again: in a
 * test (`collect`, `underTest`), on the embedded log (`LocalLog`), or as the beginning of longer streams.
 *
 * Everything is checked when `pipe` is called, so a stream that exists can run.
 */
export class Stream<S extends Shape> {
  readonly source: StreamSource;
  readonly #steps: readonly PlannedStep[];
  readonly #plan: StreamPlan;

  /** Made by {@link topic}, and by {@link Stream.pipe}. */
  constructor(source: StreamSource, steps: readonly PlannedStep[]) {
    const { schema, key } = source;
    this.source = source;
    this.#steps = steps;
    this.#plan = steps.at(-1)?.plan ?? {
      schema,
      sourceKey: key,
      eventTime: null,
      key: null,
      of: 'records',
      operatorIds: [],
    };
  }

  /** What is known of the records that come out. */
  get plan(): StreamPlan {
    return this.#plan;
  }

  /** What decides the stream's state and results, but for what its functions do. */
  get meaning(): unknown {
    const { topic: name, fields, key } = this.source;
    return [name, fields, key, this.#plan.eventTime, this.#steps.map(({ meaning }) => meaning)];
  }

  /** What event time is. @throws {SluiceError} `STREAM_WITHOUT_TIME` for a stream without `withWatermark`. */
  get eventTime(): { readonly field: string; readonly delayMs: number } {
    const { eventTime } = this.#plan;
    if (eventTime !== null) return eventTime;
    throw new SluiceError(
      'STREAM_WITHOUT_TIME',
      `a stream must say what event time is before it can run; ${this.source.topic} has no withWatermark`,
    );
  }

  /** Builds the operators, as a query does for each life of its task. */
  openSection(start: SectionStart, state: StateReader): Section {
    return openSection(this.#steps, start, state, () => new RejectedRecords(this.source.topic));
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
   * @throws {SluiceError} what an operator finds wrong with its place: `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `STREAM_EMITS_TWICE`, `FIELD_UNKNOWN`.
   */
  pipe(...operators: readonly Pick<StreamOperator<Shape, Shape>, 'plan'>[]): Stream<Shape> {
    const steps = [...this.#steps];
    let plan = this.#plan;
    for (const operator of operators) {
      const planned = operator.plan(plan);
      steps.push(planned);
      plan = planned.plan;
    }
    return new Stream(this.source, steps);
  }
}

/**
 * The records of a topic, as a stream begins with them.
 *
 *     const payments = topic('payments', { id: 'string', at: 'timestamp', card: 'string', amount: 'double' }, { key: 'card' });
 *
 * @param fields a record's fields; what else a message holds is left out.
 * @param key the field, or fields, that key the topic: records of one key are in one partition, in order. A record without it is a dead letter.
 * @throws {SluiceError} `FIELD_UNKNOWN` where the key is no field.
 */
export function topic<const F extends Fields>(
  name: string,
  fields: F,
  { key }: { readonly key: (keyof F & string) | readonly (keyof F & string)[] },
): Stream<{ row: Flat<RowOf<F>>; key: null }> {
  const keys: readonly string[] = typeof key === 'string' ? [key] : key;
  for (const field of keys) {
    if (Object.hasOwn(fields, field)) continue;
    throw new SluiceError('FIELD_UNKNOWN', `the key of topic ${name} must be a field of its records; got "${field}"`);
  }
  return new Stream({ topic: name, fields, schema: schemaOf(fields), key: keys }, []);
}
