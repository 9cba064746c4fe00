import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageValue } from '../../engine/record/message-batch.ts';
import type { Logger } from '../../engine/observability/logger.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf, type MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';

const silent: Logger = { error: () => undefined, warn: () => undefined, info: () => undefined };

/** What a topic holds: each partition's values, in their order. */
export type TopicTexts = readonly (readonly string[])[];

/**
 * Runs a job on the embedded profile over messages, to their end.
 *
 * @param inputs the messages of each topic that the job reads, in the order in which they were sent.
 * @returns what it wrote, by topic.
 */
export async function embeddedAnswers(
  job: CheckedJob,
  inputs: Readonly<Record<string, readonly MessageInput[]>>,
  partitionCount: number,
): Promise<ReadonlyMap<string, TopicTexts>> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-embedded-'));
  try {
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    for (const [topic, messages] of Object.entries(inputs)) {
      storage.ensureTopic(topic, { partitionCount });
      await storage.append(messageBatchOf(topic, messages));
    }
    {
      await using run = await openLocalRun(job, { storage, directory, modelsDirectory: directory, logger: silent });
      await run.run('availableNow', new AbortController().signal);
    }
    const answers = new Map<string, TopicTexts>();
    for (const { name } of storage.topics()) {
      if (!(name in inputs)) answers.set(name, await textsOf(storage, name));
    }
    return answers;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function textsOf(storage: Storage, topic: string): Promise<TopicTexts> {
  const source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const texts = ranges.map((): string[] => []);
  for (let left = ranges.reduce((sum, { endOffset }) => sum + endOffset, 0); left > 0;) {
    const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') throw new Error(`topic ${topic} ends before its end`);
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) {
      texts[messages.partitions[i] ?? 0]?.push(Buffer.from(messageValue(messages, i)).toString());
    }
    left -= messages.messageCount;
  }
  return texts;
}
