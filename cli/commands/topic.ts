import type { Command } from 'commander';
import { messageKey, messageValue, type MessageBatch } from '../../engine/record/message-batch.ts';
import { AvroJson } from '../../engine/serde/avro-json.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { openEmbeddedRegistry } from '../../jobs/runtime/embedded-registry.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { stopSignal } from '../stop-signal.ts';
import { wholeNumber } from '../whole-number.ts';

const tailBatchRecords = 1_000;
const tailWaitMs = 500;

interface TailOptions extends DirectoryOption {
  readonly last: number;
  readonly follow: boolean;
  readonly partition?: number;
  readonly withKeys?: true;
}

/** `sluice topic`: looks into the embedded log, also while jobs run on it. */
export function addTopicCommand(program: Command): void {
  const topic = program.command('topic').description('look into the topics of the embedded log');
  topic
    .command('list')
    .description('topics, partitions and how many messages they hold')
    .option(...dataDirectory)
    .action(listTopics);
  topic
    .command('tail')
    .description('print the last messages of a topic, and those to come; messages in Avro as JSON')
    .argument('<topic>')
    .option(...dataDirectory)
    .option('--last <n>', 'how many messages of each partition to begin with', wholeNumber, 10)
    .option('--no-follow', 'stop at the end')
    .option('--partition <n>', 'this partition only', wholeNumber)
    .option('--with-keys', 'print partition, offset and key before each message')
    .action(tailTopic);
}

async function listTopics({ dir }: DirectoryOption): Promise<void> {
  await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
  for (const { name, partitionCount } of storage.topics()) {
    const messages = storage.ranges(name).reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
    process.stdout.write(
      `${name}  ${partitionCount} partition${partitionCount === 1 ? '' : 's'}  ${messages} messages\n`,
    );
  }
}

async function tailTopic(name: string, options: TailOptions): Promise<void> {
  const { signal } = stopSignal();
  await using storage = await Storage.open({ directory: options.dir, access: 'read', clock: systemClock });
  await using source = new EmbeddedTopicSource(storage, name);
  const ranges = await source.ranges();
  const chosen = ranges.filter(({ partition }) => options.partition === undefined || partition === options.partition);
  await source.seek(
    chosen.map(({ partition, startOffset, endOffset }) => {
      return { partition, offset: Math.max(startOffset, endOffset - options.last) };
    }),
  );
  const avro = new AvroJson(openEmbeddedRegistry(options.dir, systemClock));
  while (!signal.aborted) {
    const polled = await source.poll({ maxRecords: tailBatchRecords, maxWaitMs: tailWaitMs, signal });
    if (polled?.kind === 'messages') {
      const { messages } = polled;
      const values = await valuesOf(messages, avro);
      process.stdout.write(textOf(messages, values, options.withKeys === true ? 'keys' : 'values'));
    } else if (!options.follow) {
      return;
    }
  }
}

/** Each message's value as text: JSON as it is, Avro as JSON. JSON never begins with a zero byte, as messages with a schema's id do. */
async function valuesOf(messages: MessageBatch, avro: AvroJson): Promise<readonly string[]> {
  const values: string[] = [];
  for (let i = 0; i < messages.messageCount; i++) {
    const value = messageValue(messages, i);
    if (value[0] !== 0) {
      values.push(Buffer.from(value).toString());
      continue;
    }
    const text = await avro.textOf(value);
    values.push(typeof text === 'string' ? text : `(${value.length} bytes that cannot be read: ${text.message})`);
  }
  return values;
}

function textOf(messages: MessageBatch, values: readonly string[], show: 'keys' | 'values'): string {
  let text = '';
  for (let i = 0; i < messages.messageCount; i++) {
    const place = `${messages.partitions[i]}:${messages.offsets[i]} ${Buffer.from(messageKey(messages, i)).toString()} `;
    text += `${show === 'keys' ? place : ''}${values[i] ?? ''}\n`;
  }
  return text;
}
