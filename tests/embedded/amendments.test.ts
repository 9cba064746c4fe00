import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedClickHouse } from '../../engine/clickhouse/embedded-clickhouse.ts';
import { applyMigrations } from '../../engine/clickhouse/migrations.ts';
import { AvroJson } from '../../engine/serde/avro-json.ts';
import { messagesOf } from '../../engine/serde/messages-of.ts';
import { ClickHouseSink } from '../../engine/sink/clickhouse/clickhouse-sink.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { openEmbeddedRegistry } from '../../jobs/runtime/embedded-registry.ts';
import { SimulatedProducer } from '../../jobs/runtime/simulated-producer.ts';
import { readTopic } from './read-topic.ts';
import { SluiceProcess, sluice } from './sluice-process.ts';

const features = fileURLToPath(new URL('../../features', import.meta.url));
const schema = fileURLToPath(new URL('../../schemas/transaction.avsc', import.meta.url));
const startMs = Date.UTC(2018, 3, 1);
const historyDays = 6;
const patienceMs = 300_000;

const jobText = (files: readonly string[], format: 'json' | 'avro' = 'json'): string => `
job: amended
source:
  topic: transactions
  schema: ${schema}
  key: card_id
  eventTime: { field: event_time, delay: 10s }
  duplicates: { by: transaction_id, within: 1h }
features: [${files.map((name) => `${features}/${name}.yaml`).join(', ')}]
amendments: { topic: corrections, format: ${format}, tolerance: 5%, within: 1d }
sinks:
  - topic: answers
deadLetters: { topic: dead }
state: { flushEvery: 20ms }
`;

interface Prepared {
  readonly dir: string;
  readonly jobFile: string;
}

/** A directory with a job and a log of simulated transactions, some of which come hours late. */
async function prepare(parent: string, name: string, partitions: number, text: string): Promise<Prepared> {
  const dir = join(parent, name);
  const jobFile = join(parent, `${name}.yaml`);
  await writeFile(jobFile, text);
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  storage.ensureTopic('transactions', { partitionCount: partitions });
  const world = {
    seed: 5,
    startMs,
    customers: 600,
    terminals: 900,
    disorder: { share: 0.2, maxDelayMs: 43_200_000 },
    duplicates: { share: 0.02, withinMs: 60_000 },
  };
  const append = async (messages: Parameters<Storage['append']>[0]): Promise<void> => {
    messages.timestampsMs.fill(startMs + 10 * 86_400_000);
    await storage.append(messages);
  };
  const producer = new SimulatedProducer({ topic: 'transactions', partitions, world }, append, systemClock);
  await producer.writeHistory(startMs + historyDays * 86_400_000, new AbortController().signal);
  return { dir, jobFile };
}

async function read(dir: string, topic: string): Promise<readonly (readonly string[])[]> {
  await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
  const partitions = await readTopic(storage, topic);
  return partitions.map((values) => values.map((value) => Buffer.from(value).toString()));
}

async function runWhole({ dir, jobFile }: Prepared): Promise<Record<string, number>> {
  const { code, stdout, stderr } = await sluice('run', jobFile, '--dir', dir, '--trigger', 'availableNow');
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return JSON.parse(stdout) as Record<string, number>;
}

/** How many answers there are now, as any process sees them. */
function committed(storage: Storage): number {
  storage.environment.refresh();
  if (!storage.topics().some(({ name }) => name === 'answers')) return 0;
  return storage.ranges('answers').reduce((sum, { endOffset }) => sum + endOffset, 0);
}

/** Runs the job, kills it a few times while it works, and lets it finish. Gives how often it was killed in the middle of its work. */
async function runAndKill(prepared: Prepared, kills: number, answers: number): Promise<number> {
  let midWork = 0;
  {
    await using storage = await Storage.open({ directory: prepared.dir, access: 'read', clock: systemClock });
    for (let kill = 0; kill < kills; kill++) {
      const before = committed(storage);
      const running = new SluiceProcess('run', prepared.jobFile, '--dir', prepared.dir);
      const isWorking = (): boolean => running.child.exitCode === null && committed(storage) < answers;
      while (committed(storage) <= before + kill * 500 && isWorking()) await systemClock.sleep(5);
      await running.kill();
      if (committed(storage) > before && committed(storage) < answers) midWork++;
    }
  }
  await runWhole(prepared);
  return midWork;
}

describe('amendments of an embedded job', () => {
  let parent = '';
  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sluice-amend-'));
  });
  afterAll(async () => {
    await rm(parent, { recursive: true, force: true });
  });

  it(
    'are byte for byte those of an uninterrupted run, each once, though the job is killed with SIGKILL again and again',
    async () => {
      const text = jobText(['card', 'terminal']);
      const whole = await prepare(parent, 'whole', 1, text);
      const killed = await prepare(parent, 'killed', 1, text);
      const { amended = 0, read: inputs = 0 } = await runWhole(whole);
      const answers = (await read(whole.dir, 'answers')).flat().length;
      expect(await runAndKill(killed, 3, answers)).toBeGreaterThanOrEqual(2);
      const wanted = await read(whole.dir, 'corrections');
      expect(wanted.flat()).toHaveLength(amended);
      expect(amended).toBeGreaterThan(100);
      expect(await read(killed.dir, 'corrections')).toEqual(wanted);
      expect(await read(killed.dir, 'answers')).toEqual(await read(whole.dir, 'answers'));
      expect(inputs).toBeGreaterThan(1_500);
      const revisions = wanted.flat().map((line) => JSON.parse(line) as { revision: number });
      expect(revisions.some(({ revision }) => revision > 1)).toBe(true);
    },
    patienceMs,
  );

  it(
    'are the same for several partitions as for one, for features of the topic key',
    async () => {
      const one = await prepare(parent, 'one', 1, jobText(['card']));
      const four = await prepare(parent, 'four', 4, jobText(['card']));
      await runWhole(one);
      await runWhole(four);
      const byDecision = async ({ dir }: Prepared): Promise<readonly string[]> => {
        const told = (await read(dir, 'corrections')).flat().map((line) => {
          const { transaction_id, revision, changed, before, after } = JSON.parse(line) as Record<string, unknown>;
          return JSON.stringify([transaction_id, revision, changed, before, after]);
        });
        return told.toSorted();
      };
      // Whose watermark lets a decision go is its partition's, and a day is longer than any record is late.
      expect(await byDecision(four)).toEqual(await byDecision(one));
    },
    patienceMs,
  );

  it(
    'are in Avro what they are in JSON, and rows of their table in ClickHouse',
    async () => {
      const json = await prepare(parent, 'json', 1, jobText(['card', 'terminal']));
      const avro = await prepare(parent, 'avro', 1, jobText(['card', 'terminal'], 'avro'));
      await runWhole(json);
      await runWhole(avro);
      await using storage = await Storage.open({ directory: avro.dir, access: 'read', clock: systemClock });
      const registry = openEmbeddedRegistry(avro.dir, systemClock);
      const [written = []] = await readTopic(storage, 'corrections');
      const lines = (await read(json.dir, 'corrections')).flat();
      const reader = new AvroJson(registry);
      const texts = await Promise.all(written.map((value) => reader.textOf(value)));
      expect(texts.map((text) => (typeof text === 'string' ? (JSON.parse(text) as unknown) : text))).toEqual(
        lines.map((line) => JSON.parse(line) as unknown),
      );

      const directory = join(parent, 'clickhouse');
      await using clickHouse = await EmbeddedClickHouse.open({ directory, clock: systemClock });
      const client = await clickHouse.client();
      await applyMigrations(client);
      await using sink = new ClickHouseSink({ clickHouse, table: 'amendments', registry });
      const values = lines.map((line) => Buffer.from(line));
      await sink.write(messagesOf('corrections', values));
      const query = `SELECT count() AS rows, uniqExact(source_offset) AS decisions, countIf(toFloat64OrNull(after['rolling_avg_7d']) > 0) AS told,
        countIf(\`cause.event_time\` > event_time) AS earlier, countIf(decision_time IS NULL) AS untimed FROM amendments_current`;
      const found = await (await client.query({ query, format: 'JSONEachRow' })).json<Record<string, string>>();
      const amendments = lines.map(
        (line) => JSON.parse(line) as { source_offset: number; after: Record<string, unknown> },
      );
      expect(found.map((row) => Object.values(row).map(Number))).toEqual([
        [
          lines.length,
          new Set(amendments.map(({ source_offset }) => source_offset)).size,
          amendments.filter(({ after }) => Number(after['rolling_avg_7d']) > 0).length,
          0,
          0,
        ],
      ]);
      const latest = await client.query({ query: 'SELECT count() AS n FROM amended_decisions', format: 'JSONEachRow' });
      expect(Number((await latest.json<{ n: string }>())[0]?.n)).toBe(
        new Set(amendments.map(({ source_offset }) => source_offset)).size,
      );
    },
    patienceMs,
  );
});
