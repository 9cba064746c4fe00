import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { AvroJson } from '../../engine/serde/avro-json.ts';
import { messagesOf } from '../../engine/serde/messages-of.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { openEmbeddedRegistry } from '../../jobs/runtime/embedded-registry.ts';
import { SimulatedProducer } from '../../jobs/runtime/simulated-producer.ts';
import { readTopic } from './read-topic.ts';
import { sluice } from './sluice-process.ts';

const tree = fileURLToPath(new URL('../../', import.meta.url));
const startMs = Date.UTC(2018, 3, 1);

const jobText = (format: 'json' | 'avro'): string => `
job: rescored
source:
  topic: transactions
  schema: ${tree}schemas/transaction.avsc
  key: card_id
  eventTime: { field: event_time, delay: 10s }
features: [${['card', 'terminal', 'time'].map((name) => `${tree}features/${name}.yaml`).join(', ')}]
score: { model: fraud@champion }
amendments: { topic: corrections, format: ${format}, tolerance: 0, within: 30d, rescore: true }
sinks:
  - topic: answers
deadLetters: { topic: dead }
`;

interface Score {
  readonly probability: number;
  readonly prediction: number;
}

interface Amendment {
  readonly transaction_id: string;
  readonly revision: number;
  readonly model: string;
  readonly model_version: string;
  readonly before: Score;
  readonly after: Score;
}

interface Answer extends Score {
  readonly transaction_id: string;
}

/** Runs the job over a log of such messages, and gives what it has written. */
async function run(
  dir: string,
  input: readonly Buffer[],
  format: 'json' | 'avro' = 'json',
): Promise<{ readonly answers: readonly Answer[]; readonly corrections: readonly Amendment[] }> {
  const jobFile = `${dir}.yaml`;
  await writeFile(jobFile, jobText(format));
  {
    await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
    storage.ensureTopic('transactions', { partitionCount: 1 });
    const messages = messagesOf('transactions', input);
    messages.timestampsMs.fill(startMs + 10 * 86_400_000);
    await storage.append(messages);
  }
  const ended = await sluice('run', jobFile, '--dir', dir, '--trigger', 'availableNow', '--models', `${tree}models`);
  expect([ended.code, ended.stderr]).toEqual([0, '']);
  await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
  const reader = new AvroJson(openEmbeddedRegistry(dir, systemClock));
  const read = async (topic: string): Promise<readonly unknown[]> => {
    const [values = []] = await readTopic(storage, topic);
    return Promise.all(
      values.map(async (value) => {
        if (format === 'json' || topic !== 'corrections') return JSON.parse(Buffer.from(value).toString()) as unknown;
        const text = await reader.textOf(value);
        return typeof text === 'string' ? (JSON.parse(text) as unknown) : text;
      }),
    );
  };
  return {
    answers: (await read('answers')) as readonly Answer[],
    corrections: (await read('corrections')) as readonly Amendment[],
  };
}

/** Simulated transactions, some of which come hours late, as they stand in a log. */
async function simulated(dir: string): Promise<readonly Buffer[]> {
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  storage.ensureTopic('transactions', { partitionCount: 1 });
  const disorder = { share: 0.2, maxDelayMs: 43_200_000 };
  const world = { seed: 7, startMs, customers: 150, terminals: 60, disorder };
  const append = async (messages: Parameters<Storage['append']>[0]): Promise<void> => {
    await storage.append(messages);
  };
  const producer = new SimulatedProducer({ topic: 'transactions', partitions: 1, world }, append, systemClock);
  await producer.writeHistory(startMs + 4 * 86_400_000, new AbortController().signal);
  const [values = []] = await readTopic(storage, 'transactions');
  return values.map((value) => Buffer.from(value));
}

describe('amendments that are scored', () => {
  let parent = '';
  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sluice-rescore-'));
  });
  afterAll(async () => {
    await rm(parent, { recursive: true, force: true });
  });

  it('say what the model says of what was told last, and, in the end, of the stream in order', async () => {
    const messages = await simulated(join(parent, 'simulated'));
    const { answers, corrections } = await run(join(parent, 'as-it-came'), messages);
    const known = new Map(
      answers.map(({ transaction_id: id, probability, prediction }) => [id, [probability, prediction]]),
    );
    let moved = 0;
    for (const { transaction_id: id, before, after, model, model_version: version } of corrections) {
      expect([before.probability, before.prediction]).toEqual(known.get(id));
      known.set(id, [after.probability, after.prediction]);
      if (after.probability !== before.probability) moved++;
      expect([model, Number(version)]).toEqual(['fraud', expect.any(Number)]);
    }
    expect(corrections.length).toBeGreaterThan(100);
    expect(moved).toBeGreaterThan(20);

    const timeOf = (message: Buffer): number => (JSON.parse(message.toString()) as { event_time: number }).event_time;
    expect(messages.every((message) => Number.isFinite(timeOf(message)))).toBe(true);
    const inOrder = messages.toSorted((a, b) => timeOf(a) - timeOf(b));
    const ordered = await run(join(parent, 'in-order'), inOrder);
    // Nothing was late.
    expect(ordered.corrections).toHaveLength(0);
    expect(ordered.answers).toHaveLength(answers.length);
    for (const { transaction_id: id, probability, prediction } of ordered.answers) {
      expect(known.get(id)).toEqual([probability, prediction]);
    }
    const avro = await run(join(parent, 'avro'), messages, 'avro');
    expect(avro.corrections).toEqual(corrections);
  }, 300_000);
});
