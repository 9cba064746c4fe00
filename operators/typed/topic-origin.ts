import { strict as assert } from 'node:assert';
import { noSteps } from './steps-again.ts';
import type { StreamOrigin, StreamSource } from './stream-origin.ts';

/** The origin of a stream of one topic. */
export function topicOrigin(source: StreamSource): StreamOrigin {
  return {
    source,
    plan: {
      schema: source.schema,
      sourceKey: source.key,
      eventTime: null,
      key: null,
      of: 'records',
      emits: 0,
      operatorIds: [],
      again: noSteps(source.schema),
      arrivals: 'not told',
    },
    meaning: null,
    inputs: [],
    open: () => assert.fail('a stream of one topic is opened with its event time'),
  };
}
