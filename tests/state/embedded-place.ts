import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { shopPartitions } from '../cluster/shop-records.ts';
import type { InputsCase } from './inputs-on-a-cluster.ts';

/** A data directory with the topics of a case, with as many partitions as the cluster's have. */
export class EmbeddedPlace implements AsyncDisposable {
  readonly directory: string;
  readonly storage: Storage;
  readonly #inputs: InputsCase['inputs'];

  private constructor(directory: string, storage: Storage, inputs: InputsCase['inputs']) {
    this.directory = directory;
    this.storage = storage;
    this.#inputs = inputs;
  }

  static async open({ inputs }: InputsCase): Promise<EmbeddedPlace> {
    const directory = await mkdtemp(join(tmpdir(), 'sluice-place-'));
    const storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    for (const topic of Object.keys(inputs)) storage.ensureTopic(topic, { partitionCount: shopPartitions });
    return new EmbeddedPlace(directory, storage, inputs);
  }

  /** Appends one half of the messages. */
  async send(half: 0 | 1): Promise<void> {
    for (const [topic, halves] of Object.entries(this.#inputs)) {
      await this.storage.append(messageBatchOf(topic, halves[half]));
    }
  }

  /** Runs the job over what is there. */
  async run(job: CheckedJob): Promise<void> {
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const { storage, directory } = this;
    await using run = await openLocalRun(job, { storage, directory, modelsDirectory: '', logger });
    await run.run('availableNow', new AbortController().signal);
  }

  /** What a topic holds. */
  async answers(topic: string): Promise<readonly string[]> {
    const source = new EmbeddedTopicSource(this.storage, topic);
    const ranges = await source.ranges();
    await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
    const texts: string[] = [];
    for (let left = ranges.reduce((sum, { endOffset }) => sum + endOffset, 0); left > 0;) {
      const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
      if (polled?.kind !== 'messages') throw new Error(`topic ${topic} ends before its end`);
      const { messages } = polled;
      for (let i = 0; i < messages.messageCount; i++) texts.push(Buffer.from(messageValue(messages, i)).toString());
      left -= messages.messageCount;
    }
    return texts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.storage[Symbol.asyncDispose]();
    await rm(this.directory, { recursive: true, force: true });
  }
}
