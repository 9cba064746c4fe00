import { describe, expect, it } from 'vitest';
import { Schema } from '../../record/schema.ts';
import { toRows } from '../../record/record-batch.ts';
import { JsonDecoder } from '../../serde/json-decoder.ts';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';
import { Storage } from '../../storage/storage.ts';
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts';
import { systemClock } from '../../time/clock.ts';
import { EmbeddedTopicSource } from '../embedded/embedded-topic-source.ts';
import { sourceConformance } from '../source.conformance.ts';
import { InputsReader } from './inputs-reader.ts';
import { MergedSource } from './merged-source.ts';

// Each partition of the suite is a topic of its own: input i has partition 0, which is i among all.
sourceConformance('several topics', async (inputCount) => {
  const directory = temporaryDirectory();
  const storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  const topics = Array.from({ length: inputCount }, (_, input) => `topic-${input}`);
  for (const topic of topics) storage.createTopic(topic, { partitionCount: 1 });
  const source = new MergedSource(topics.map((topic) => new EmbeddedTopicSource(storage, topic)));
  return {
    source,
    add: async (partition, values) => {
      await storage.append(
        messageBatchOf(
          topics[partition] ?? '',
          values.map((value) => ({ value, partition: 0 })),
        ),
      );
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
});

const own = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
]);
const common = new Schema([
  { name: 'input', type: 'long', presence: 'required' },
  { name: 'a.id', type: 'string', presence: 'optional' },
  { name: 'b.id', type: 'string', presence: 'optional' },
  { name: 'time', type: 'timestamp', presence: 'required' },
]);

type Message = readonly [id: string, at: number];

/** Two topics of two partitions each, read as one stream. */
async function readAll(
  a: readonly (readonly Message[])[],
  b: readonly (readonly Message[])[],
  maxRecords: number,
): Promise<{ readonly rows: unknown[]; readonly bad: string[]; readonly polls: string[] }> {
  using directory = temporaryDirectory();
  await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  for (const [topic, partitions] of [
    ['a', a],
    ['b', b],
  ] as const) {
    storage.createTopic(topic, { partitionCount: 2 });
    const messages = partitions.flatMap((list, partition) =>
      list.map(([id, at]) => ({ value: id === 'bad' ? '{' : JSON.stringify({ id, at }), partition })),
    );
    await storage.append(messageBatchOf(topic, messages));
  }
  const merged = new MergedSource([new EmbeddedTopicSource(storage, 'a'), new EmbeddedTopicSource(storage, 'b')]);
  const decoder = new JsonDecoder({ schema: own, eventTimeField: 'at', keyFields: ['id'] });
  const reader = new InputsReader({
    source: merged,
    inputs: [
      { decoder, lift: ['input number', { column: 'id' }, null, 'event time'] },
      { decoder, lift: ['input number', null, { column: 'id' }, 'event time'] },
    ],
    schema: common,
    onProgress: (input, newestMs) => {
      merged.advance(input, newestMs);
    },
  });
  const ranges = await reader.ranges();
  await reader.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const left = ranges.reduce((sum, { endOffset }) => sum + endOffset, 0);
  const rows: unknown[] = [];
  const bad: string[] = [];
  const polls: string[] = [];
  for (let read = 0; read < left;) {
    const polled = await reader.poll({ maxRecords, maxWaitMs: 100 });
    if (polled === null || polled === 'end' || polled.kind !== 'messages') throw new Error('expected messages');
    const { records, deadLetters } = reader.decode(polled.messages);
    expect(records.rowCount + deadLetters.length).toBe(polled.messages.messageCount);
    rows.push(...toRows(records));
    bad.push(...deadLetters.map(({ partition, offset }) => `${partition}/${offset}`));
    polls.push([...polled.messages.partitions].join(' '));
    read += polled.messages.messageCount;
  }
  return { rows, bad, polls };
}

describe('several topics read as one stream', () => {
  it('gives each record under the common schema, with nulls for the fields of other inputs', async () => {
    const { rows, bad } = await readAll(
      [[['x', 5]], []],
      [
        [],
        [
          ['y', 7],
          ['bad', 0],
        ],
      ],
      100,
    );
    expect(rows).toEqual([
      { input: 0, 'a.id': 'x', 'b.id': null, time: 5 },
      { input: 1, 'a.id': null, 'b.id': 'y', time: 7 },
    ]);
    // Partition 1 of the second of two inputs is number 3.
    expect(bad).toEqual(['3/1']);
  });

  it('puts a partition that was not heard from among the others by event time, and leaves the others as they come', async () => {
    const a = [
      [
        ['a1', 10],
        ['a2', 30],
        ['a3', 20],
        ['a4', 50],
      ],
      [
        ['b1', 15],
        ['bad', 0],
        ['b2', 40],
      ],
    ] as const;
    const { rows, polls } = await readAll(a, [[], []], 6);
    expect(rows.map((row) => (row as { 'a.id': string })['a.id'])).toEqual(['a1', 'b1', 'a2', 'a3', 'b2', 'a4']);
    // What cannot be decoded goes with what comes behind it.
    expect(polls).toEqual(['0 2 2 0 0 2', '0']);
  });

  it('reads the input that is further behind in event time', async () => {
    const times = (from: number, every: number): Message[] =>
      Array.from({ length: 30 }, (_, index) => [`${from + index * every}`, from + index * every]);
    const { polls } = await readAll([times(0, 1), []], [times(0, 10), []], 5);
    // The dense input has 30 records in the time of three of the sparse one's.
    const firstOf = (partitions: string): string => partitions.split(' ')[0] ?? '';
    expect(polls.map(firstOf).join('')).toBe('010000011111');
  });
});
