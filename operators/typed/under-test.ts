import { strict as assert } from 'node:assert';
import type { Source } from '../../engine/source/source.ts';
import { openBranches, type Branches } from './branches.ts';
import { readSeveral } from './read-several.ts';
import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import { inMemoryQuery } from '../../engine/testing/in-memory-query.ts';
import type { QueryUnderTest } from '../../engine/testing/query-under-test.ts';
import type { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';

/** How a stream is tested. */
export interface UnderTestOptions<R = never> {
  /** Of every topic; default 1. */
  readonly partitions?: number;
  readonly bounds?: Partial<QueryBounds>;
  /** The topics that results go to, as `LocalLog.run` has them; default the one topic `output`. */
  readonly to?: Branches<R>;
}

/**
 * A stream, ready for the test kit: `testQuery(underTest(stream), [addData(…), crash(), restart(), checkAnswer(…)])`, `forEveryCrashPoint(underTest(stream), rows)`. Records and results are
 * JSON, in topics in memory; bad records are dead letters; records that are late for windows are counted. Where several streams meet, a row says which topic it is of: `{ orders: { id: 'o1', … } }`.
 *
 * @throws {SluiceError} `STREAM_WITHOUT_TIME`, `EXPRESSION_INVALID`
 */
export function underTest<S extends Shape>(
  stream: Stream<S>,
  options: UnderTestOptions<S['row']> = {},
): QueryUnderTest {
  const { to, ...others } = options;
  const { inputs, plan } = stream;
  const [first, second] = inputs;
  assert(first !== undefined, 'a stream reads something');
  const names = inputs.map(({ name }) => name).join('-');
  const several = {
    forms: inputs.map(({ name, schema, eventTime, key }) => ({
      name,
      schema,
      eventTimeField: eventTime.field,
      keyFields: key,
      delayMs: eventTime.delayMs,
    })),
    read: (source: Source) => {
      const reader = readSeveral(inputs, source);
      return { source: reader, decoder: reader };
    },
  };
  return inMemoryQuery({
    name: names,
    schema: first.schema,
    eventTime: first.eventTime,
    key: second === undefined ? first.key : (plan.key ?? []),
    arrivals: first.arrivals,
    ...others,
    ...(second === undefined ? {} : { several }),
    ...(to === undefined ? {} : { branches: openBranches(to, plan.schema, names) }),
    openSection: (start, state) => stream.openSection(start, state),
  });
}
