import { describe, expect, it } from 'vitest';
import type { Commit, CommitLog } from '../../../engine/execution/commit-log.ts';
import { recover } from '../../../engine/execution/recover.ts';
import { TaskCommitLog, type TaskCommitLogOptions } from '../../../engine/sink/kafka/task-commit-log.ts';
import { ProducerFailure } from '../../../engine/sink/kafka/task-producer.ts';
import type { StateEntry, StateWrite } from '../../../engine/state/state-store.ts';
import { messageBatchOf } from '../../../engine/storage/message-batch-builder.ts';
import { RedisTaskState } from '../../../engine/state/redis/redis-task-state.ts';
import { BrokerModel } from './broker-model.ts';
import type { InputRecord } from './input-log.ts';
import { ModelProducer } from './model-producer.ts';
import { ModelSource } from './model-source.ts';
import { ScriptedPlan } from './plan.ts';
import { redisClient } from './redis-client.ts';
import { RedisModel } from './redis-model.ts';
import { simulatedJob, task } from './simulated-job.ts';
import { World, type Process } from './world.ts';

/** The models, and owners that are led by hand. */
class Stage {
  readonly world = new World(new ScriptedPlan(new Map()), null);
  readonly redis = new RedisModel({ owner: 'checked', offset: 'checked', reads: 'checked' });
  readonly broker: BrokerModel;
  readonly process: Process = {
    id: 1,
    state: 'live',
    wakeStep: 0,
    stop: new AbortController(),
    lost: new AbortController(),
  };

  constructor(input: readonly (InputRecord | null)[] = []) {
    this.broker = new BrokerModel(input, input.length);
  }

  /** Carries calls out until the promise has settled. */
  async see<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = (): void => void (isSettled = true);
    promise.then(settle, settle);
    for (let steps = 0; !isSettled && steps < 1_000; steps++) {
      this.world.advance();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return promise;
  }

  state(owner: string): RedisTaskState {
    return new RedisTaskState(redisClient(this.world, this.process, this.redis), { task, owner });
  }

  log(owner: string, changed: Partial<TaskCommitLogOptions> = {}): TaskCommitLog {
    return new TaskCommitLog({
      task,
      partition: 0,
      openProducer: () => Promise.resolve(new ModelProducer(this.world, this.process, this.broker, task)),
      committed: () => Promise.resolve(this.broker.committed()),
      state: this.state(owner),
      servesJob: () => true,
      lost: new AbortController().signal,
      ...changed,
    });
  }
}

const key = Buffer.from('k');
const set = (value: string | null): StateWrite => ({
  operatorId: 'total',
  key,
  value: value === null ? null : Buffer.from(value),
});

function batch(from: number, to: number): Commit {
  return {
    ranges: [{ partition: 0, from, to }],
    metadata: { batchSequence: 0, watermarksMs: [], jobDigest: 'digest', modelDigest: '' },
    outputs: [],
    state: { writes: [set(String(to))] },
  };
}

/** Says that the partition is idle at an offset. */
function idle(at: number, batchSequence: number): Commit {
  return {
    ranges: [{ partition: 0, from: at, to: at, idleForMs: 0 }],
    metadata: { batchSequence, watermarksMs: [], jobDigest: 'digest', modelDigest: '' },
    outputs: [messageBatchOf('idle', [{ value: `${batchSequence}` }])],
    state: null,
  };
}

describe('a commit that moves no position', () => {
  const said = ({ broker }: Stage): readonly string[] =>
    broker
      .partition('idle-0')
      .filter(({ transaction }) => transaction?.status === 'committed')
      .map(({ value }) => value);

  /** A producer whose next commit is cut off, before or after the broker has done it. */
  function cutOff(stage: Stage, moment: 'before' | 'after', sequence: number): Partial<TaskCommitLogOptions> {
    let isCut = false;
    return {
      openProducer: () => {
        const producer = new ModelProducer(stage.world, stage.process, stage.broker, task);
        const commit = producer.commit.bind(producer);
        let position = '';
        const sendPosition = producer.sendPosition.bind(producer);
        producer.sendPosition = (given) => {
          position = given.metadata;
          return sendPosition(given);
        };
        producer.commit = async () => {
          const isDue = !isCut && position.includes(`"seq":${sequence},`);
          if (!isDue || moment === 'after') await commit();
          if (!isDue) return;
          isCut = true;
          throw new ProducerFailure('broken', 'cut off', { retryable: 'transient' });
        };
        return Promise.resolve(producer);
      },
    };
  }

  it('is made each time, told by its batch from others that end where it does', async () => {
    const stage = new Stage();
    const owner = stage.log('a');
    await stage.see(owner.acquire());
    await stage.see(owner.commit(idle(0, 0)));
    await stage.see(owner.commit({ ...batch(0, 5), metadata: { ...batch(0, 5).metadata, batchSequence: 1 } }));
    await stage.see(owner.commit(idle(5, 2)));
    await stage.see(owner.commit(idle(5, 3)));
    expect([said(stage), stage.broker.decidedPosition?.offset]).toEqual([['0', '2', '3'], 5]);
    const next = await stage.see(stage.log('b').acquire());
    expect(next).toMatchObject({
      committed: [{ offset: 5 }],
      metadata: { batchSequence: 3 },
      stateAt: [{ offset: 5 }],
    });
  });

  it.each(['before', 'after'] as const)(
    'is made once where its answer was cut off %s it took effect',
    async (moment) => {
      const stage = new Stage();
      const owner = stage.log('a', cutOff(stage, moment, 1));
      await stage.see(owner.acquire());
      await stage.see(owner.commit(batch(0, 5)));
      await expect(stage.see(owner.commit(idle(5, 1)))).rejects.toMatchObject({ retryable: 'transient' });
      await stage.see(owner.commit(idle(5, 1)));
      await stage.see(owner.commit(idle(5, 2)));
      expect(said(stage)).toEqual(['1', '2']);
    },
  );
});

describe('what the simulation found, and was mended', () => {
  it('a key that was evicted and came back within one flush was deleted from Redis', async () => {
    const stage = new Stage();
    const state = stage.state('a');
    await stage.see(state.claim(0));
    await stage.see(state.write({ to: 1, metadata: '', writes: [set('1')] }));
    await stage.see(state.write({ to: 2, metadata: '', writes: [set(null), set('2')] }));
    expect(await stage.see(state.getMany('total', [key]))).toEqual([Buffer.from('2')]);
    await stage.see(state.write({ to: 3, metadata: '', writes: [set('3'), set(null)] }));
    expect(await stage.see(state.getMany('total', [key]))).toEqual([null]);
  });

  it('a scan believed a store that had gone back since it was claimed', async () => {
    const stage = new Stage();
    const state = stage.state('a');
    await stage.see(state.claim(0));
    await stage.see(state.write({ to: 1, metadata: '', writes: [set('1')] }));
    stage.redis.failOver(1);
    const scan = async (): Promise<StateEntry[]> => {
      const entries: StateEntry[] = [];
      for await (const entry of state.scan('total')) entries.push(entry);
      return entries;
    };
    await expect(stage.see(scan())).rejects.toMatchObject({ code: 'STATE_WENT_BACK' });
  });

  it('a worker that stood still between position and claim halted for good, as if the position had been reset', async () => {
    const stage = new Stage();
    const owner = stage.log('b');
    await stage.see(owner.acquire());
    await stage.see(owner.commit(batch(0, 5)));
    let answers = 0;
    const stale = stage.log('a', {
      committed: () => Promise.resolve(answers++ === 0 ? null : stage.broker.committed()),
    });
    await expect(stage.see(stale.acquire())).rejects.toMatchObject({ code: 'TASK_FENCED' });
  });

  it('a former owner whose producer had broken opened another, and committed a batch that its successor had committed', async () => {
    const stage = new Stage();
    let breaks = 1;
    const former: CommitLog = stage.log('a', {
      openProducer: () => {
        const producer = new ModelProducer(stage.world, stage.process, stage.broker, task);
        const sendPosition = producer.sendPosition.bind(producer);
        producer.sendPosition = (position) =>
          breaks-- > 0
            ? Promise.reject(new ProducerFailure('broken', 'cut off', { retryable: 'transient' }))
            : sendPosition(position);
        return Promise.resolve(producer);
      },
    });
    await stage.see(former.acquire());
    await expect(stage.see(former.commit(batch(0, 5)))).rejects.toMatchObject({ retryable: 'transient' });
    const owner = stage.log('b');
    await stage.see(owner.acquire());
    await stage.see(owner.commit(batch(0, 7)));
    await expect(stage.see(former.commit(batch(0, 5)))).rejects.toMatchObject({ code: 'TASK_FENCED' });
    expect(stage.broker.decidedPosition?.offset).toBe(7);
  });

  it('a replay over offsets with holes read on behind the committed position, and its records counted twice', async () => {
    const record = (offset: number): InputRecord => ({
      value: JSON.stringify({ id: `r${offset}`, card: 'c0', time: 1_000 + offset, amount: 10 ** offset }),
      timestampMs: 2_000,
    });
    const stage = new Stage([record(0), null, record(2), record(3), record(4)]);
    const source = new ModelSource(stage.world, stage.process, stage.broker, () => undefined);
    const bounds = { maxBatchRecords: 10, maxPollWaitMs: 5, maxBatchesInFlight: 1, flushEveryMs: 0 };
    const commitLog = stage.log('a');
    await stage.see(commitLog.acquire());
    const query = simulatedJob({ source, commitLog, bounds });
    const { section, nextOffsets } = await stage.see(
      recover(
        query,
        {
          committed: [{ partition: 0, offset: 3 }],
          metadata: null,
          stateAt: [{ partition: 0, offset: 0 }],
          stateMetadata: null,
          replay: [[{ partition: 0, from: 0, to: 3 }]],
        },
        new AbortController().signal,
      ),
    );
    expect([...nextOffsets]).toEqual([[0, 3]]);
    const total = section.logics
      .flatMap((logic) => logic.takeChanges())
      .find(({ operatorId }) => operatorId === 'total');
    expect(Buffer.from(total?.value ?? []).toString()).toBe('101');
  });
});
