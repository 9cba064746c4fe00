import { copyFileSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../time/clock.ts';
import { CheckpointFile, readCheckpoint } from './checkpoint-file.ts';
import { EmbeddedCommitLog } from './embedded-commit-log.ts';
import { findDamage, readMetas } from './lmdb-file.ts';
import { messageBatchOf } from './message-batch-builder.ts';
import { StateTable } from './state-table.ts';
import { Storage } from './storage.ts';
import { topicTexts, type MessageText } from './testing/message-texts.ts';
import { Program } from './testing/program.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

const never = 2 ** 30;

async function openIn(directory: string): Promise<Storage> {
  return Storage.open({ directory, access: 'write', clock: systemClock, checkpointIntervalMs: never });
}

/** A generator that gives the same numbers for the same seed: mulberry32. */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A job that copies and counts, in this process, so that its commits can be stopped anywhere. */
class Job {
  readonly #log: EmbeddedCommitLog;
  readonly #random: () => number;
  #sequence = 0;

  private constructor(log: EmbeddedCommitLog, random: () => number) {
    this.#log = log;
    this.#random = random;
  }

  static async begin(storage: Storage, random: () => number): Promise<Job> {
    storage.createTopic('output', { partitionCount: 2, retention: { maxAgeMs: null, maxBytes: 200_000 } });
    const log = new EmbeddedCommitLog({
      storage,
      job: 'job',
      jobDigest: 'd',
      inputTopic: null,
      stateJournalBytes: 20_000,
    });
    await log.acquire();
    return new Job(log, random);
  }

  async commit(count: number): Promise<void> {
    for (let done = 0; done < count; done++) {
      const sequence = this.#sequence++;
      const size = 1 + Math.floor(this.#random() * (sequence % 5 === 0 ? 50_000 : 300));
      const writes = Array.from({ length: 20 }, () => ({
        operatorId: 'count',
        key: Uint8Array.of(this.#random() * 256, this.#random() * 8),
        value: new Uint8Array(50 + Math.floor(this.#random() * 500)).fill(sequence),
      }));
      await this.#log.commit({
        ranges: [{ partition: 0, from: sequence, to: sequence + 1 }],
        metadata: { batchSequence: sequence, watermarksMs: [], jobDigest: 'd', modelDigest: '' },
        outputs: [messageBatchOf('output', [{ value: 'x'.repeat(size), partition: sequence % 2, key: `${sequence}` }])],
        state: sequence % 2 === 0 ? { writes } : null,
      });
    }
    await this.#log.settleState();
  }
}

interface Contents {
  readonly outputs: readonly MessageText[];
  readonly state: readonly (readonly [string, string])[];
  readonly position: unknown;
}

async function contentsOf(storage: Storage): Promise<Contents> {
  const state: [string, string][] = [];
  for await (const { key, value } of new StateTable(storage.environment, 'job').scan('count')) {
    state.push([Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex')]);
  }
  return {
    outputs: topicTexts(storage, 'output'),
    state,
    position: storage.environment.jobs.getBinary(['job', 'job'])?.toString(),
  };
}

describe('a power failure', () => {
  /**
   * What the disk holds afterwards: every page as of the last checkpoint, or as written since, or (a page that is new) nothing, in any mixture;
   * the two metas among them.
   */
  function diskAfter(checkpointed: Buffer, written: Buffer, random: () => number): Buffer {
    const pages = Math.ceil(written.length / 4096);
    const kept = Math.max(checkpointed.length, Math.floor(random() * (pages + 1)) * 4096);
    const disk = Buffer.alloc(Math.min(kept, Math.max(written.length, checkpointed.length)));
    checkpointed.copy(disk);
    for (let page = 0; page < pages; page++) {
      if (random() < 0.5) written.copy(disk, page * 4096, page * 4096, (page + 1) * 4096);
    }
    return disk;
  }

  it('takes the log back to its last checkpoint, whole: topics, state and offsets as of one commit', async () => {
    for (let seed = 1; seed <= 25; seed++) {
      const random = randomNumbers(seed);
      using directory = temporaryDirectory();
      using after = temporaryDirectory();
      const file = join(directory.path, 'log', 'data.mdb');
      await using storage = await openIn(directory.path);
      const job = await Job.begin(storage, random);
      // More than one checkpoint, so that pages that the earlier one held are used again.
      for (let round = 0; round < 3; round++) {
        await job.commit(1 + Math.floor(random() * 30));
        storage.applyRetention();
        await storage.checkpoint();
      }
      const expected = await contentsOf(storage);
      const checkpointed = readFileSync(file);
      await job.commit(1 + Math.floor(random() * 60));
      storage.applyRetention();
      await job.commit(1 + Math.floor(random() * 20));

      mkdirSync(join(after.path, 'log'));
      writeFileSync(join(after.path, 'log', 'data.mdb'), diskAfter(checkpointed, readFileSync(file), random));
      await writeCheckpointOfAnotherRun(join(directory.path, 'log'), join(after.path, 'log'));
      await using restored = await openIn(after.path);
      expect(await contentsOf(restored), `seed ${seed}`).toEqual(expected);
      await new EmbeddedCommitLog({ storage: restored, job: 'job', jobDigest: 'd', inputTopic: null }).acquire();
      await restored.append(messageBatchOf('output', [{ value: 'goes on' }]));
    }
  });

  it('is told from the death of a process, after which nothing is taken back', async () => {
    using directory = temporaryDirectory();
    using after = temporaryDirectory();
    await using storage = await openIn(directory.path);
    const job = await Job.begin(storage, randomNumbers(7));
    await job.commit(20);
    await storage.checkpoint();
    await job.commit(20);
    mkdirSync(join(after.path, 'log'));
    for (const name of ['data.mdb', 'checkpoint'])
      copyFileSync(join(directory.path, 'log', name), join(after.path, 'log', name));
    await using copy = await openIn(after.path);
    expect(await contentsOf(copy)).toEqual(await contentsOf(storage));
  });

  it('is no matter to a log that was closed', async () => {
    using directory = temporaryDirectory();
    let expected: Contents;
    {
      await using storage = await openIn(directory.path);
      const job = await Job.begin(storage, randomNumbers(8));
      await job.commit(30);
      expected = await contentsOf(storage);
    }
    await writeCheckpointOfAnotherRun(join(directory.path, 'log'), join(directory.path, 'log'));
    await using storage = await openIn(directory.path);
    expect(await contentsOf(storage)).toEqual(expected);
  });

  it('after which the checkpoint itself is damaged gives an error, not a log that is half there', async () => {
    using directory = temporaryDirectory();
    const log = join(directory.path, 'log');
    {
      await using storage = await openIn(directory.path);
      const job = await Job.begin(storage, randomNumbers(9));
      await job.commit(100);
      await storage.checkpoint();
      await job.commit(100);
    }
    await writeCheckpointOfAnotherRun(log, log);
    // The checkpoint that is restored is the last one; a page of its tree is overwritten with another's.
    const file = readFileSync(join(log, 'data.mdb'));
    const root = readCheckpoint(join(log, 'checkpoint'))?.meta.roots[1] ?? 0;
    file.fill(7, root * 4096, (root + 1) * 4096);
    file.fill(0, 4096 + 24, 4096 + 28);
    file.fill(0, 24, 28);
    writeFileSync(join(log, 'data.mdb'), file);
    await expect(openIn(directory.path)).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      message: expect.stringContaining('after the machine went down') as string,
    });
  });

  async function writeCheckpointOfAnotherRun(from: string, to: string): Promise<void> {
    const checkpoint = readCheckpoint(join(from, 'checkpoint'));
    if (checkpoint === null) throw new Error('there must be a checkpoint');
    const path = join(to, 'checkpoint');
    writeFileSync(path, '');
    const file = await CheckpointFile.open(path);
    await file.write({ meta: checkpoint.meta, bootId: 'another run of the kernel' });
    file.close();
  }
});

describe('a damaged log', () => {
  async function filled(directory: string): Promise<string> {
    await using storage = await openIn(directory);
    const job = await Job.begin(storage, randomNumbers(3));
    await job.commit(200);
    return storage.environment.dataPath;
  }

  it('is not found damaged when it is whole', async () => {
    using directory = temporaryDirectory();
    const path = await filled(directory.path);
    const [newest] = readMetas(await import('node:fs').then(({ openSync }) => openSync(path, 'r')));
    expect(newest === undefined ? 'no meta' : findDamage(path, newest)).toBeNull();
  });

  it('that was cut off is refused in words, wherever it was cut', async () => {
    using directory = temporaryDirectory();
    const path = await filled(directory.path);
    const whole = readFileSync(path);
    const reader = new URL('./testing/tailing-reader.ts', import.meta.url);
    for (const share of [0.9, 0.5, 0.1]) {
      writeFileSync(path, whole);
      truncateSync(path, Math.floor(whole.length * share));
      // In a process of its own: reading a page that is not there would end it with SIGBUS.
      await using program = Program.start(reader, directory.path, 'output', '1');
      const { errors, signal } = await program.end();
      expect(signal).toBeNull();
      expect(errors).toContain('STORAGE_CORRUPT');
      expect(errors).toContain('a file that was cut off');
    }
    truncateSync(path, 100);
    await expect(openIn(directory.path)).rejects.toMatchObject({ code: 'STORAGE_CORRUPT' });
  });

  it('that is no log at all is refused', async () => {
    using directory = temporaryDirectory();
    const path = await filled(directory.path);
    writeFileSync(path, 'a file of another kind '.repeat(1_000));
    await expect(openIn(directory.path)).rejects.toMatchObject({
      code: 'STORAGE_CORRUPT',
      message: expect.stringContaining('no LMDB file') as string,
    });
  });

  it('is noticed when a message is read whose bytes are not the ones that were written', async () => {
    using directory = temporaryDirectory();
    const path = await filled(directory.path);
    const file = readFileSync(path);
    const at = file.indexOf('x'.repeat(2_000));
    file[at + 1_000] = 0x79;
    writeFileSync(path, file);
    await using storage = await openIn(directory.path);
    expect(() => topicTexts(storage, 'output')).toThrow(/checksum.*topic output/);
  });
});
