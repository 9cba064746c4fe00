import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import { inMemoryQuery } from '../../engine/testing/in-memory-query.ts';
import type { QueryUnderTest } from '../../engine/testing/query-under-test.ts';
import type { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';

/** How a stream is tested. */
export interface UnderTestOptions {
  /** Of every topic; default 1. */
  readonly partitions?: number;
  readonly bounds?: Partial<QueryBounds>;
}

/**
 * A stream, ready for the test kit: `testQuery(underTest(stream), [addData(…), crash(), restart(), checkAnswer(…)])`, `forEveryCrashPoint(underTest(stream), rows)`. Records and results are
 * JSON, in topics in memory; bad records are dead letters; records that are late for windows are counted.
 *
 * @throws {SluiceError} `STREAM_WITHOUT_TIME`
 */
export function underTest<S extends Shape>(stream: Stream<S>, options: UnderTestOptions = {}): QueryUnderTest {
  const { topic, schema, key } = stream.source;
  return inMemoryQuery({
    name: topic,
    schema,
    eventTime: stream.eventTime,
    key,
    ...options,
    openSection: (start, state) => stream.openSection(start, state),
  });
}
