import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageKey, messageValue, type MessageBatch } from '../../engine/record/message-batch.ts';
import { AvroEncoder } from '../../engine/serde/avro-encoder.ts';
import { AvroJson } from '../../engine/serde/avro-json.ts';
import { parseAvroSchema } from '../../engine/serde/avro-schema.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import { messagesOf } from '../../engine/serde/messages-of.ts';
import { inputPartitioner } from '../../engine/serde/partitioner.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob, MessageFormat } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openEmbeddedRegistry } from '../../jobs/runtime/embedded-registry.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { encodeTransactions } from '../../simulation/stream/encode-transactions.ts';
import { transactionStream } from '../../simulation/stream/transaction-stream.ts';
import { sluice } from './sluice-process.ts';

const features = fileURLToPath(new URL('../../features', import.meta.url));
const schemaFile = fileURLToPath(new URL('../../schemas/transaction.avsc', import.meta.url));
const startMs = Date.UTC(2018, 3, 1);
const recordCount = 1_500;
const logger = { info: fail, warn: fail, error: fail };

const jobText = (input: MessageFormat, output: MessageFormat, file: string, schema = schemaFile): string => `
job: formats
source:
  topic: transactions
  format: ${input}
  schema: ${schema}
  key: card_id
  eventTime: { field: event_time, delay: 10s }
  duplicates: { by: transaction_id, within: 1h }
features: [${features}/card.yaml, ${features}/terminal.yaml, ${features}/time.yaml]
sinks:
  - { topic: answers, partitions: 1, format: ${output} }
  - jsonl: ${file}
deadLetters: { topic: dead, format: ${output} }
`;

/** A small world in arrival order, with disorder, duplicates and malformed records; all in partition 0. */
function jsonMessages(seed: number): MessageBatch {
  const world = {
    seed,
    startMs,
    customers: 30,
    terminals: 60,
    chunkRecords: recordCount,
    disorder: { share: 0.1, maxDelayMs: 86_400_000 },
    duplicates: { share: 0.03, withinMs: 600_000 },
    malformedShare: 0.02,
  };
  const { keys, values } = encodeTransactions(transactionStream(world).next().value, 'include');
  return {
    topic: 'transactions',
    messageCount: recordCount,
    partitions: new Int32Array(recordCount),
    offsets: Float64Array.from({ length: recordCount }, (_, offset) => offset),
    timestampsMs: new Float64Array(recordCount).fill(startMs + 400 * 86_400_000),
    keys,
    values,
  };
}

/** The same messages in Avro: each record at its place, and what is no record as it is. */
async function inAvro(job: CheckedJob, messages: MessageBatch, directory: string): Promise<MessageBatch> {
  const avroSchema = parseAvroSchema(await readFile(schemaFile, 'utf8'));
  const { schema } = job;
  const registry = openEmbeddedRegistry(directory, systemClock);
  const encoder = new AvroEncoder({
    schema,
    fields: schema.fields.map(({ name }) => ({ name, value: { kind: 'column', column: name } })),
    topic: 'transactions',
    key: ['card_id'],
    partitioner: inputPartitioner(),
    avroSchema,
    schemaId: await registry.register('transactions-value', avroSchema.text),
  });
  const decoder = new JsonDecoder({ schema, eventTimeField: 'event_time', keyFields: ['card_id'] });
  const { records } = decoder.decode(messages);
  const { messages: encoded } = encoder.encode(records);
  const values = Array.from({ length: messages.messageCount }, (_, index) => messageValue(messages, index));
  records.offsets.forEach((offset, row) => (values[offset] = messageValue(encoded, row)));
  return { ...messages, values: messagesOf('transactions', values).values };
}

interface Outcome {
  readonly answers: readonly string[];
  readonly dead: readonly string[];
  readonly file: string;
}

describe('a stream in JSON and in Avro', () => {
  let parent = '';
  let runs = 0;
  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sluice-formats-'));
  });
  afterAll(async () => {
    await rm(parent, { recursive: true, force: true });
  });

  async function runJob(seed: number, input: MessageFormat, output: MessageFormat, schema?: string): Promise<Outcome> {
    const directory = join(parent, `run-${runs++}`);
    const jobFile = `${directory}.yaml`;
    await writeFile(jobFile, jobText(input, output, `${directory}.jsonl`, schema));
    const loaded = await loadJob(jobFile);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    storage.ensureTopic('transactions', { partitionCount: 1 });
    const json = jsonMessages(seed);
    await storage.append(input === 'json' ? json : await inAvro(loaded.job, json, directory));
    await using run = await openLocalRun(loaded.job, { storage, directory, modelsDirectory: '', logger });
    await run.run('availableNow', new AbortController().signal);
    return {
      answers: await textsIn(storage, 'answers', output, directory),
      dead: await textsIn(storage, 'dead', output, directory),
      file: await readFile(`${directory}.jsonl`, 'utf8'),
    };
  }

  it('gives the same answers, digit for digit, whichever of the two its input and its outputs are in', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 1_000_000 }), async (seed) => {
        const plain = await runJob(seed, 'json', 'json');
        expect(plain.answers.length).toBeGreaterThan(recordCount * 0.9);
        expect(plain.dead.length).toBeGreaterThan(0);
        expect(await runJob(seed, 'json', 'avro')).toEqual(plain);
        const { answers, dead, file } = await runJob(seed, 'avro', 'avro');
        expect(answers).toEqual(plain.answers);
        expect(file).toBe(plain.file);
        // What is wrong with a message is told in its format's words; which messages are bad, and their bytes, are the same.
        expect(dead.map(placeAndBytes)).toEqual(plain.dead.map(placeAndBytes));
      }),
      { numRuns: 3 },
    );
  });

  it('is read the same by a JSON Schema as by an Avro schema, and refused by its rules', async () => {
    const plain = await runJob(3, 'json', 'json');
    const jsonSchema = JSON.parse(await readFile(schemaFile.replace('.avsc', '.schema.json'), 'utf8')) as {
      properties: { amount: object };
    };
    const path = join(parent, 'transaction.schema.json');
    await writeFile(path, JSON.stringify(jsonSchema));
    const read = await runJob(3, 'json', 'json', path);
    expect(read.answers.length).toBe(plain.answers.length);
    expect(read.answers).toEqual(plain.answers);
    expect(read.dead.map(placeAndBytes)).toEqual(plain.dead.map(placeAndBytes));

    const most = 100;
    jsonSchema.properties.amount = { ...jsonSchema.properties.amount, maximum: most };
    await writeFile(path, JSON.stringify(jsonSchema));
    const ruled = await runJob(3, 'json', 'json', path);
    const broken = ruled.dead.map((letter) => JSON.parse(letter) as { code: string; message: string; value: string });
    const amounts = broken
      .filter(({ code }) => code === 'FIELD_RULE_BROKEN')
      .map(({ value }) => (JSON.parse(Buffer.from(value, 'base64').toString()) as { amount: number }).amount);
    expect(amounts.length).toBeGreaterThan(0);
    for (const amount of amounts) expect(amount).toBeGreaterThan(most);
    for (const answer of ruled.answers)
      expect((JSON.parse(answer) as { amount: number }).amount).toBeLessThanOrEqual(most);
    expect(ruled.dead.length).toBe(plain.dead.length + amounts.length);
  });

  it('waits while the registry is away, and loses nothing', async () => {
    const directory = join(parent, `run-${runs++}`);
    const schemas = join(directory, 'schemas');
    await writeFile(`${directory}.yaml`, jobText('avro', 'json', `${directory}.jsonl`));
    const loaded = await loadJob(`${directory}.yaml`);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.diagnostics));
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    storage.ensureTopic('transactions', { partitionCount: 1 });
    await storage.append(await inAvro(loaded.job, jsonMessages(2), directory));
    // A file in the directory's place cannot be looked into, as a server that is down cannot.
    await rename(schemas, `${schemas}-away`);
    await writeFile(schemas, '');
    const waits: string[] = [];
    let back = Promise.resolve();
    const listening = {
      ...logger,
      warn: (message: string, fields?: object): void => {
        waits.push(`${message} ${JSON.stringify(fields)}`);
        if (waits.length === 2) back = rm(schemas).then(async () => rename(`${schemas}-away`, schemas));
      },
    };
    await using run = await openLocalRun(loaded.job, { storage, directory, modelsDirectory: '', logger: listening });
    await run.run('availableNow', new AbortController().signal);
    await back;
    expect(waits.length).toBeGreaterThanOrEqual(2);
    for (const wait of waits) expect(wait).toContain('REGISTRY_UNAVAILABLE');
    expect(await textsIn(storage, 'answers', 'json', directory)).toEqual((await runJob(2, 'json', 'json')).answers);
  });

  it('is shown as JSON by sluice topic tail', async () => {
    const { answers } = await runJob(1, 'avro', 'avro');
    const directory = join(parent, `run-${runs - 1}`);
    const { stdout, stderr } = await sluice(
      'topic',
      'tail',
      'answers',
      '--dir',
      directory,
      '--last',
      '2',
      '--no-follow',
    );
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n')).toEqual(answers.slice(-2));
  });
});

function placeAndBytes(letter: string): unknown {
  const { topic, partition, offset, value } = JSON.parse(letter) as Record<string, unknown>;
  return { topic, partition, offset, value };
}

function fail(message: string): never {
  throw new Error(`nothing should be logged; got "${message}"`);
}

async function textsIn(
  storage: Storage,
  topic: string,
  format: MessageFormat,
  directory: string,
): Promise<readonly string[]> {
  await using source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const reader = new AvroJson(openEmbeddedRegistry(directory, systemClock));
  const texts: string[] = [];
  for (let left = ranges.reduce((sum, { endOffset }) => sum + endOffset, 0); left > 0;) {
    const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') throw new Error('the topic ends before its end');
    const messages = format === 'avro' ? await reader.inJson(polled.messages) : polled.messages;
    for (let i = 0; i < messages.messageCount; i++) {
      texts.push(Buffer.from(messageValue(messages, i)).toString());
      expect(messageKey(messages, i).length).toBeGreaterThan(0);
    }
    left -= messages.messageCount;
  }
  return texts;
}
