import kafka from '@confluentinc/kafka-javascript';
import { concatMap, tap, of } from 'rxjs';
import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import { messageValue, type MessageBatch } from '../../../engine/record/message-batch.ts';
import { writeNote } from '../../../engine/sink/kafka/commit-note.ts';
import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';
import { writeScript } from '../../../engine/state/redis/state-scripts.ts';
import { systemClock } from '../../../engine/time/clock.ts';
import type { WorkerSeams, WorkerTask } from '../../cluster/cluster-worker.ts';
import { logLike, oneFlushLate } from '../simulation/planted-bugs.ts';
import { asPromise } from './raw-kafka.ts';
import { producerLike, stateLike } from './seams.ts';

/** Long enough for a kill to fall into what a bug leaves half done. */
const gapMs = 60;

/** The bugs that real processes are given; each is a fault of the worker's parts, none is in the product. */
export const realBugs: Readonly<Record<string, WorkerSeams>> = {
  'state is written before the commit': {
    commitLog: (log, state) => {
      let epoch = 0;
      return logLike(log, {
        acquire: async () => {
          const acquired = await log.acquire();
          // Its claim made again gives the epoch that it has.
          ({ epoch } = await state.claim(0));
          return acquired;
        },
        commit: async (batch) => {
          const to = batch.ranges.at(-1)?.to;
          if (to !== undefined && batch.state !== null) {
            const note = writeNote({ metadata: batch.metadata, epoch, origin: 0 });
            await state.write({ to, metadata: note, writes: batch.state.writes });
            await systemClock.sleep(gapMs);
          }
          await log.commit({ ...batch, state: null });
        },
      });
    },
  },
  'the position is committed outside the transaction': {
    producer: (producer, { group, worker, partition }) =>
      producerLike(producer, {
        sendPosition: async ({ offset, metadata }) => {
          await group.asMember((member) => {
            const positions: kafka.TopicPartitionOffsetAndMetadata[] = [
              { topic: worker.input, partition, offset, metadata },
            ];
            member.commitSync(positions);
            return Promise.resolve();
          });
          await systemClock.sleep(gapMs);
        },
      }),
  },
  'the position is not committed at all': {
    producer: (producer) => producerLike(producer, { sendPosition: () => Promise.resolve() }),
  },
  'bad records are passed over without a letter': {
    producer: (producer, { worker }) =>
      producerLike(producer, {
        send: (messages) => (messages.topic === worker.output ? producer.send(messages) : Promise.resolve()),
      }),
  },
  'totals are added up in Redis': {
    state: (state, task) => {
      const { worker, partition, redis } = task;
      const totals = `sluice:{${worker.job}.${worker.input}-${partition}}:total`;
      return stateLike(state, {
        write: async (step) => {
          for (const { operatorId, key, value } of step.writes) {
            if (operatorId !== 'total' || value === null) continue;
            const card = Buffer.from(key);
            const stored = Number((await redis.hget(totals, card)) ?? '0');
            await redis.hincrby(totals, card, Number(Buffer.from(value).toString()) - stored);
          }
          await systemClock.sleep(gapMs);
          return state.write({ ...step, writes: step.writes.filter(({ operatorId }) => operatorId !== 'total') });
        },
      });
    },
  },
  'Redis asks nobody who owns the task': { redis: (client) => withoutFence(client) },
  'a replay emits': {
    query: (query, task) => {
      let committed = 0;
      return {
        ...query,
        commitLog: logLike(query.commitLog, {
          acquire: async () => {
            const acquired = await query.commitLog.acquire();
            committed = acquired.committed[0]?.offset ?? 0;
            return acquired;
          },
        }),
        openSection: (start, state) => {
          const section = query.openSection(start, state);
          const emit = concatMap((batch: Parameters<QueryDefinition['encode']>[0]) =>
            of(batch).pipe(
              tap((records) => {
                if ((records.offsets[0] ?? Infinity) >= committed) return;
                for (const messages of query.encode(records).messages) void sendPlain(task, messages);
              }),
            ),
          );
          return { ...section, steps: [...section.steps, { operator: emit, fate: 'keeps' }] };
        },
      };
    },
  },
  'dead letters are sent outside the transaction': {
    producer: (producer, task) =>
      producerLike(producer, {
        send: async (messages) => {
          if (messages.topic !== task.worker.output) await sendPlain(task, messages);
          else await producer.send(messages);
        },
        commit: async () => {
          await systemClock.sleep(gapMs);
          await producer.commit();
        },
      }),
  },
  'state is flushed under an offset one flush ahead of it': {
    query: (query) => ({
      ...query,
      openSection: (start, state) => {
        const section = query.openSection(start, state);
        return { ...section, logics: section.logics.map(oneFlushLate) };
      },
    }),
  },
  'the replay starts at the committed offset, not at the state': {
    commitLog: (log) =>
      logLike(log, {
        acquire: async () => {
          const acquired = await log.acquire();
          return { ...acquired, stateAt: acquired.committed, replay: [] };
        },
      }),
  },
};

/** A client whose write script applies whatever it is given, whoever sends it. */
function withoutFence(client: RedisClient): RedisClient {
  type Call = (command: string, args: (string | Buffer)[]) => Promise<unknown>;
  const plain = client.call.bind(client) as unknown as Call;
  const trusting = writeScript
    .replaceAll(/return '(FENCED|MISMATCH)'/g, "local _ = 'believed'")
    .replace("return 'ALREADY'", "local _ = 'believed'");
  const call: Call = (command, [script = '', ...rest]) =>
    plain(command, [script === writeScript ? trusting : script, ...rest]);
  return Object.create(client, { call: { value: call } }) as RedisClient;
}

let plainProducer: Promise<kafka.Producer> | null = null;

/** Sends messages outside any transaction: they are readable at once. */
async function sendPlain({ worker }: WorkerTask, messages: MessageBatch): Promise<void> {
  plainProducer ??= openPlain(worker.brokers);
  const producer = await plainProducer;
  for (let i = 0; i < messages.messageCount; i++) {
    producer.produce(messages.topic, messages.partitions[i] ?? 0, Buffer.from(messageValue(messages, i)));
  }
  await asPromise<void>((done) => producer.flush(5_000, (error) => done(error, undefined)));
}

async function openPlain(brokers: readonly string[]): Promise<kafka.Producer> {
  const producer = new kafka.Producer({ 'bootstrap.servers': brokers.join(',') });
  await asPromise<kafka.Metadata>((done) => producer.connect({}, done));
  return producer;
}
