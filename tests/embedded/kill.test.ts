import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { SimulatedProducer } from '../../jobs/runtime/simulated-producer.ts';
import { SluiceProcess, sluice } from './sluice-process.ts';

const features = fileURLToPath(new URL('../../features', import.meta.url));
const schema = fileURLToPath(new URL('../../schemas/transaction.avsc', import.meta.url));
const historyDays = 6;
const startMs = Date.UTC(2018, 3, 1);

/** The fraud job without its model's file and ClickHouse, so that what is killed is the engine alone; state is flushed often, to be caught half-way. */
const job = (partitions: number): string => `
job: killed
source:
  topic: transactions
  schema: ${schema}
  key: card_id
  eventTime: { field: event_time, delay: 10s }
  duplicates: { by: transaction_id, within: 1h }
features: [${features}/card.yaml${partitions === 1 ? `, ${features}/terminal.yaml` : ''}, ${features}/time.yaml]
sinks:
  - topic: answers
deadLetters: { topic: dead }
state: { flushEvery: 20ms }
`;

/** A directory with a job and a log of simulated transactions: disorder, duplicates and malformed records among them. */
async function prepare(
  parent: string,
  name: string,
  partitions: number,
): Promise<{ dir: string; jobFile: string; inputs: number }> {
  const dir = join(parent, name);
  const jobFile = join(parent, `${name}.yaml`);
  await writeFile(jobFile, job(partitions));
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  storage.ensureTopic('transactions', { partitionCount: partitions });
  const world = {
    seed: 11,
    startMs,
    customers: 800,
    terminals: 1_500,
    disorder: { share: 0.05, maxDelayMs: 3_600_000 },
    duplicates: { share: 0.02, withinMs: 60_000 },
    malformedShare: 0.01,
  };
  const append = async (messages: Parameters<Storage['append']>[0]): Promise<void> => {
    // The broker's timestamps must be the same in every log, for the future guard looks at them.
    messages.timestampsMs.fill(startMs + 10 * 86_400_000);
    await storage.append(messages);
  };
  const producer = new SimulatedProducer({ topic: 'transactions', partitions, world }, append, systemClock);
  await producer.writeHistory(startMs + historyDays * 86_400_000, new AbortController().signal);
  return { dir, jobFile, inputs: producer.written };
}

/** Every message of a topic, by partition, in order. */
async function read(dir: string, topic: string): Promise<string[][]> {
  await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
  const source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const partitions = ranges.map((): string[] => []);
  for (let left = ranges.reduce((sum, range) => sum + range.endOffset, 0); left > 0;) {
    const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') throw new Error('the topic ends before its end');
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) {
      partitions[messages.partitions[i] ?? 0]?.push(Buffer.from(messageValue(messages, i)).toString());
    }
    left -= messages.messageCount;
  }
  return partitions;
}

/** Runs the job, kills it a few times while it works, and lets it finish. Gives how often it was killed in the middle of its work. */
async function runAndKill(jobFile: string, dir: string, kills: number): Promise<number> {
  let midWork = 0;
  await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
  for (let kill = 0; kill < kills; kill++) {
    const before = committed(storage);
    const running = new SluiceProcess('run', jobFile, '--dir', dir);
    // Wait for some commits of this process, then strike; each time after another amount of work.
    while (committed(storage) <= before + kill * 700 && running.child.exitCode === null) await systemClock.sleep(5);
    await running.kill();
    if (committed(storage) > before) midWork++;
  }
  const last = await sluice('run', jobFile, '--dir', dir, '--trigger', 'availableNow');
  expect(last.stderr).toBe('');
  expect(last.code).toBe(0);
  return midWork;
}

/** How many answers there are now, as any process sees them. */
function committed(storage: Storage): number {
  storage.environment.refresh();
  if (!storage.topics().some(({ name }) => name === 'answers')) return 0;
  return storage.ranges('answers').reduce((sum, { endOffset }) => sum + endOffset, 0);
}

describe('a job that is killed with SIGKILL again and again', () => {
  let parent = '';
  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sluice-kill-'));
  });
  afterAll(async () => {
    await rm(parent, { recursive: true, force: true });
  });

  it('gives byte-identical predictions and dead letters, each once, to those of an uninterrupted run', async () => {
    const whole = await prepare(parent, 'whole', 1);
    const killed = await prepare(parent, 'killed', 1);
    expect((await sluice('run', whole.jobFile, '--dir', whole.dir, '--trigger', 'availableNow')).code).toBe(0);
    expect(await runAndKill(killed.jobFile, killed.dir, 4)).toBeGreaterThanOrEqual(2);
    const wanted = await read(whole.dir, 'answers');
    expect(wanted.flat().length).toBeGreaterThan(5_000);
    expect(await read(killed.dir, 'answers')).toEqual(wanted);
    const dead = await read(whole.dir, 'dead');
    expect(dead.flat().length).toBeGreaterThan(20);
    expect(await read(killed.dir, 'dead')).toEqual(dead);
  }, 300_000);

  it('does so with several partitions for features of the topic key', async () => {
    const whole = await prepare(parent, 'whole4', 4);
    const killed = await prepare(parent, 'killed4', 4);
    expect((await sluice('run', whole.jobFile, '--dir', whole.dir, '--trigger', 'availableNow')).code).toBe(0);
    expect(await runAndKill(killed.jobFile, killed.dir, 4)).toBeGreaterThanOrEqual(2);
    expect(await read(killed.dir, 'answers')).toEqual(await read(whole.dir, 'answers'));
  }, 300_000);

  it('is refused a second time on the same directory, by name', async () => {
    const { dir, jobFile } = await prepare(parent, 'twice', 1);
    const first = new SluiceProcess('run', jobFile, '--dir', dir);
    await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
    while (committed(storage) === 0 && first.child.exitCode === null) await systemClock.sleep(20);
    const second = await sluice('run', jobFile, '--dir', dir);
    expect(second.code).toBe(1);
    expect(second.stderr).toContain('DIRECTORY_IN_USE');
    expect(second.stderr).toContain(String(first.child.pid));
    first.child.kill('SIGTERM');
    expect((await first.ended).code).toBe(0);
  });
});
