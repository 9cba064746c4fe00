import { SluiceError } from '../../../engine/error.ts';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../../../engine/source/source.ts';
import { messageBatchOf, type MessageInput } from '../../../engine/storage/message-batch-builder.ts';
import type { BrokerModel } from './broker-model.ts';
import type { Process, World } from './world.ts';

/** A reader of the input partition in the life of one process. Tells when it has nothing more to read. */
export class ModelSource implements Source {
  readonly name = 'topic in';
  readonly #world: World;
  readonly #process: Process;
  readonly #broker: BrokerModel;
  readonly #idle: () => void;
  #next = 0;

  constructor(world: World, process: Process, broker: BrokerModel, idle: () => void) {
    this.#world = world;
    this.#process = process;
    this.#broker = broker;
    this.#idle = idle;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    return this.#world.call(this.#process, {
      kind: 'ranges',
      apply: () => [{ partition: 0, startOffset: this.#broker.logStart, endOffset: this.#broker.available }],
      failure: unavailable,
    });
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#next = offsets[0]?.offset ?? 0;
    return Promise.resolve();
  }

  async poll({ maxRecords, maxWaitMs, signal }: PollBounds): Promise<Polled | null> {
    const messages = await this.#world.call(this.#process, {
      kind: 'poll',
      apply: () => this.#read(maxRecords),
      failure: unavailable,
    });
    if (messages.length > 0) return { kind: 'messages', messages: messageBatchOf('in', messages) };
    this.#idle();
    await this.#world.clock(this.#process).sleep(maxWaitMs, signal);
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #read(maxRecords: number): MessageInput[] {
    const { input, available, logStart } = this.#broker;
    if (this.#next < logStart) {
      throw new SluiceError('OFFSET_OUT_OF_RANGE', `topic in holds offsets from ${logStart}; got ${this.#next}`);
    }
    const messages: MessageInput[] = [];
    while (this.#next < available && messages.length < maxRecords) {
      const record = input[this.#next];
      if (record !== null && record !== undefined) {
        messages.push({ value: record.value, offset: this.#next, timestampMs: record.timestampMs });
      }
      this.#next++;
    }
    return messages;
  }
}

function unavailable(): Error {
  return new SluiceError('KAFKA_UNAVAILABLE', 'the broker did not answer', { retryable: 'transient' });
}
