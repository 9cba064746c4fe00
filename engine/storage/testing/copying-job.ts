import { systemClock } from '../../time/clock.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { messageValue } from '../../record/message-batch.ts';
import { EmbeddedTopicSource } from '../../source/embedded/embedded-topic-source.ts';
import type { OffsetRange } from '../../execution/commit-log.ts';
import { SluiceError } from '../../error.ts';
import { EmbeddedCommitLog } from '../embedded-commit-log.ts';
import { messageBatchOf } from '../message-batch-builder.ts';
import { Storage } from '../storage.ts';

/**
 * A job in small, for tests that kill it: copies `input` to `output` and counts messages by their first letter, with state written every third
 * batch only, so that most restarts replay. Prints `commit N` after each, and `done` when `input` has no more.
 *
 *   copying-job.ts DIRECTORY EXPECTED_RECORDS
 *
 * When the disk is full it prints `full …`, deletes the topic `ballast`, and commits the same batch again until it succeeds.
 */
const [directory = '', expected = '0'] = process.argv.slice(2);
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const say = (line: string): boolean => process.stdout.write(`${line}\n`);

try {
  await run();
} catch (thrown) {
  if (!(thrown instanceof SluiceError)) throw thrown;
  say(`error ${JSON.stringify({ code: thrown.code, message: thrown.message, fields: thrown.fields })}`);
  process.exitCode = 1;
}

async function run(): Promise<void> {
  await using storage = await Storage.open({
    directory,
    access: 'write',
    clock: systemClock,
    checkpointIntervalMs: 20,
  });
  await using log = new EmbeddedCommitLog({
    storage,
    job: 'copying',
    jobDigest: 'copying 1',
    inputTopic: 'input',
    stateJournalBytes: 1,
  });
  const { committed: commits, metadata, stateAt, replay } = await log.acquire();
  const counts = new Map<string, number>();
  for await (const { key, value } of log.state.scan('count'))
    counts.set(decoder.decode(key), Number(decoder.decode(value)));
  const changed = new Set<string>();
  const count = (batch: MessageBatch): void => {
    for (let i = 0; i < batch.messageCount; i++) {
      const letter = decoder.decode(messageValue(batch, i)).slice(0, 1);
      counts.set(letter, (counts.get(letter) ?? 0) + 1);
      changed.add(letter);
    }
  };
  const source = new EmbeddedTopicSource(storage, 'input');
  const positions = new Map(storage.ranges('input').map(({ partition }) => [partition, 0]));
  for (const { partition, offset } of stateAt) positions.set(partition, offset);
  for (const ranges of replay)
    for (const range of ranges) for (const batch of await readRange(source, range)) count(batch);
  for (const { partition, offset } of commits) positions.set(partition, offset);
  say(`acquired ${JSON.stringify({ committed: commits, replayed: replay.length })}`);
  await source.seek([...positions].map(([partition, offset]) => ({ partition, offset })));

  let sequence = metadata === null ? 0 : metadata.batchSequence + 1;
  let total = [...positions.values()].reduce((sum, offset) => sum + offset, 0);
  while (total < Number(expected)) {
    const polled = await source.poll({ maxRecords: 1 + ((sequence * 7) % 40), maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') continue;
    count(polled.messages);
    const flush = sequence % 3 === 2;
    const writes = [...changed].map((letter) => ({
      operatorId: 'count',
      key: encoder.encode(letter),
      value: encoder.encode(String(counts.get(letter))),
    }));
    const batch = {
      ranges: rangesOf(polled.messages),
      metadata: { batchSequence: sequence, watermarksMs: [], jobDigest: 'copying 1', modelDigest: '' },
      outputs: [{ ...polled.messages, topic: 'output' }],
      state: flush ? { writes } : null,
    };
    while (!(await whenThereIsSpace(() => log.commit(batch)))) {
      // Deleting needs a few pages itself, and what it frees may be used again after the next checkpoint: both are tried until they work.
      await systemClock.sleep(10);
      await whenThereIsSpace(() => {
        if (storage.topics().some(({ name }) => name === 'ballast')) storage.deleteTopic('ballast');
      });
    }
    if (flush) changed.clear();
    total += polled.messages.messageCount;
    say(`commit ${sequence}`);
    sequence += 1;
  }
  const writes = [...counts].map(([letter, sum]) => ({
    operatorId: 'count',
    key: encoder.encode(letter),
    value: encoder.encode(String(sum)),
  }));
  const last = { batchSequence: sequence, watermarksMs: [], jobDigest: 'copying 1', modelDigest: '' };
  await log.commit({ ranges: [], metadata: last, outputs: [messageBatchOf('output', [])], state: { writes } });
  say('done');
}

/** Whether it was written; `false` when the disk is full, and then nothing of it was. */
async function whenThereIsSpace(write: () => Promise<void> | void): Promise<boolean> {
  try {
    await write();
    return true;
  } catch (thrown) {
    if (!(thrown instanceof SluiceError) || thrown.code !== 'STORAGE_FULL') throw thrown;
    say(`full ${thrown.retryable} ${thrown.message}`);
    return false;
  }
}

async function readRange(source: EmbeddedTopicSource, { partition, from, to }: OffsetRange): Promise<MessageBatch[]> {
  await source.seek([{ partition, offset: from }]);
  const batches: MessageBatch[] = [];
  for (let at = from; at < to;) {
    const polled = await source.poll({ maxRecords: to - at, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') throw new Error('what was committed must be there to be replayed');
    batches.push(polled.messages);
    at += polled.messages.messageCount;
  }
  return batches;
}

function rangesOf(batch: MessageBatch): OffsetRange[] {
  const ranges: OffsetRange[] = [];
  for (let i = 0; i < batch.messageCount; i++) {
    const partition = batch.partitions[i] ?? 0;
    const offset = batch.offsets[i] ?? 0;
    const last = ranges.at(-1);
    if (last?.partition === partition && last.to === offset) ranges[ranges.length - 1] = { ...last, to: offset + 1 };
    else ranges.push({ partition, from: offset, to: offset + 1 });
  }
  return ranges;
}
