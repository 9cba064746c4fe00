import { describe, expect, it } from 'vitest';
import { systemClock } from '../time/clock.ts';
import { messageBatchOf } from './message-batch-builder.ts';
import { StateTable } from './state-table.ts';
import { Storage } from './storage.ts';
import { topicTexts } from './testing/message-texts.ts';
import { Program } from './testing/program.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

const copyingJob = new URL('./testing/copying-job.ts', import.meta.url);
const tailingReader = new URL('./testing/tailing-reader.ts', import.meta.url);
const appendingProducer = new URL('./testing/appending-producer.ts', import.meta.url);
/** More for a long run by hand: SLUICE_KILLS=100 npx vitest run engine/storage/crash.test.ts */
const kills = Number(process.env['SLUICE_KILLS'] ?? 6);
const recordCount = 2_000 + kills * 400;

async function withTopics(directory: string, fill: (storage: Storage) => Promise<void>): Promise<void> {
  await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
  storage.createTopic('input', { partitionCount: 2 });
  storage.createTopic('output', { partitionCount: 2 });
  await fill(storage);
}

function records(count: number): { value: string; partition: number }[] {
  return Array.from({ length: count }, (_, number) => ({
    value: `${'abcde'[number % 5]} ${number}`,
    partition: number % 2,
  }));
}

async function expectCopied(directory: string): Promise<void> {
  await using storage = await Storage.open({ directory, access: 'read', clock: systemClock });
  expect(topicTexts(storage, 'output')).toEqual(topicTexts(storage, 'input'));
  const counts = new Map<string, number>();
  for (const { value } of topicTexts(storage, 'input'))
    counts.set(value.slice(0, 1), (counts.get(value.slice(0, 1)) ?? 0) + 1);
  const state = new Map<string, number>();
  for await (const { key, value } of new StateTable(storage.environment, 'copying').scan('count')) {
    state.set(Buffer.from(key).toString(), Number(Buffer.from(value).toString()));
  }
  expect(state).toEqual(counts);
}

describe('a job on the embedded log', { timeout: 60_000 + kills * 10_000 }, () => {
  it(`has each output once, and its state whole, after being killed ${kills} times in mid-commit`, async () => {
    using directory = temporaryDirectory();
    await withTopics(directory.path, async (storage) => {
      await storage.append(messageBatchOf('input', records(recordCount)));
    });
    let replays = 0;
    for (let kill = 0; kill < kills; kill++) {
      await using job = Program.start(copyingJob, directory.path, String(recordCount));
      const acquired = JSON.parse(await job.expect('acquired')) as { replayed: number };
      if (acquired.replayed > 0) replays += 1;
      // The job goes on committing while the line is on its way, so each kill falls somewhere else in a commit.
      for (let commits = 0; commits < 2 + ((kill * 5) % 7); commits++) await job.expect('commit');
      await job.kill();
    }
    expect(replays).toBeGreaterThan(0);
    await using job = Program.start(copyingJob, directory.path, String(recordCount));
    await job.expect('done');
    expect((await job.end()).exitCode).toBe(0);
    await expectCopied(directory.path);
  });

  it('is read by another process as it writes, without a gap, while a third one appends to its input', async () => {
    using directory = temporaryDirectory();
    await withTopics(directory.path, async () => Promise.resolve());
    await using reader = Program.start(tailingReader, directory.path, 'output', '1000');
    await using job = Program.start(copyingJob, directory.path, '1000');
    await using producer = Program.start(appendingProducer, directory.path, 'input', '0', '1000');
    const lines: string[] = [];
    for (let line = await reader.line(); line !== 'done'; line = await reader.line()) {
      if (line === null) throw new Error((await reader.end()).errors);
      lines.push(line);
    }
    await job.expect('done');
    await producer.expect('done');
    expect(lines.filter((line) => line.startsWith('gap'))).toEqual([]);
    expect((await job.end()).exitCode).toBe(0);
    await expectCopied(directory.path);
  });

  it('lets the others go on when a producer is killed while it holds the write lock, or does not', async () => {
    using directory = temporaryDirectory();
    await withTopics(directory.path, async () => Promise.resolve());
    for (let kill = 0; kill < 4; kill++) {
      await using producer = Program.start(appendingProducer, directory.path, 'input', '0', '100000');
      await producer.expect(`appended ${25 * (kill + 1)}`);
      await producer.kill();
    }
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    const before = topicTexts(storage, 'input').length;
    expect(before % 5).toBe(0);
    await storage.append(messageBatchOf('input', records(5)));
    expect(topicTexts(storage, 'input')).toHaveLength(before + 5);
  });

  it('is refused to a second process by name, and given to it once the first was killed', async () => {
    using directory = temporaryDirectory();
    await withTopics(directory.path, async () => Promise.resolve());
    await using first = Program.start(copyingJob, directory.path, '10');
    await first.expect('acquired');
    await using second = Program.start(copyingJob, directory.path, '10');
    const refusal = JSON.parse(await second.expect('error')) as {
      code: string;
      message: string;
      fields: { pid: number };
    };
    expect(refusal.code).toBe('DIRECTORY_IN_USE');
    expect(refusal.fields.pid).toBe(first.pid);
    expect(refusal.message).toContain(`process ${first.pid}`);
    await first.kill();
    await using third = Program.start(copyingJob, directory.path, '10');
    await third.expect('acquired');
  });

  it('is refused while the first process is merely stopped', async () => {
    using directory = temporaryDirectory();
    await withTopics(directory.path, async () => Promise.resolve());
    await using first = Program.start(copyingJob, directory.path, '10');
    await first.expect('acquired');
    first.signal('SIGSTOP');
    await using second = Program.start(copyingJob, directory.path, '10');
    expect(JSON.parse(await second.expect('error'))).toMatchObject({ code: 'DIRECTORY_IN_USE' });
  });

  it('writes nothing to a full disk, says so, and goes on once there is space', async () => {
    using directory = temporaryDirectory();
    await withTopics(directory.path, async (storage) => {
      await storage.append(messageBatchOf('input', records(3_000)));
      storage.createTopic('ballast', { partitionCount: 1 });
      await storage.append(messageBatchOf('ballast', [{ value: new Uint8Array(600_000) }]));
    });
    // 512-byte blocks: a little more than is there.
    await using job = Program.startWithFileLimit(1_900, copyingJob, directory.path, '3000');
    const full = await job.expect('full');
    expect(full).toMatch(/^transient could not commit a batch of job copying in .*: the disk took no more/);
    await job.expect('done');
    expect((await job.end()).exitCode).toBe(0);
    await expectCopied(directory.path);
  });
});
