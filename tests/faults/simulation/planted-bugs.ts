import { concatMap, of, tap } from 'rxjs';
import type { Acquired, Commit, CommitLog, CommitMetadata } from '../../../engine/execution/commit-log.ts';
import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import type { RecordBatch } from '../../../engine/record/record-batch.ts';
import { messageValue, type MessageBatch } from '../../../engine/record/message-batch.ts';
import { writeNote } from '../../../engine/sink/kafka/commit-note.ts';
import { ProducerFailure, type TaskProducer } from '../../../engine/sink/kafka/task-producer.ts';
import type { CommittedPosition } from '../../../engine/source/kafka/consumer-group.ts';
import type { StateWrite } from '../../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../../engine/state/stateful-logic.ts';
import type { BrokerModel } from './broker-model.ts';
import type { PlantedBug } from './planted-bug.ts';
import { relativeWrites } from './relative-writes.ts';

/** A commit log that is another's, but for what is given. */
export function logLike(log: CommitLog, changed: Partial<Pick<CommitLog, 'acquire' | 'commit'>>): CommitLog {
  return {
    acquire: changed.acquire ?? (() => log.acquire()),
    commit: changed.commit ?? ((batch) => log.commit(batch)),
    get state() {
      return log.state;
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

/** A producer that is another's, but for what is given. */
function producerLike(producer: TaskProducer, changed: Partial<TaskProducer>): TaskProducer {
  return {
    init: () => producer.init(),
    begin: () => producer.begin(),
    send: (messages) => producer.send(messages),
    sendPosition: (position) => producer.sendPosition(position),
    commit: () => producer.commit(),
    [Symbol.asyncDispose]: () => producer[Symbol.asyncDispose](),
    ...changed,
  };
}

/** Sends messages outside any transaction: they are readable at once. */
function sendPlain(broker: BrokerModel, messages: MessageBatch): void {
  for (let i = 0; i < messages.messageCount; i++) {
    const value = Buffer.from(messageValue(messages, i)).toString();
    broker.append(null, `${messages.topic}-${messages.partitions[i] ?? 0}`, value);
  }
}

function withoutWatermarks(metadata: CommitMetadata | null): CommitMetadata | null {
  return metadata === null ? null : { ...metadata, watermarksMs: [] };
}

/** A logic whose changes come one flush late. */
export function oneFlushLate(logic: StatefulLogic): StatefulLogic {
  let held: readonly StateWrite[] = [];
  return {
    operatorId: logic.operatorId,
    prefetch: (batch, reader) => logic.prefetch(batch, reader),
    apply: (batch) => logic.apply(batch),
    takeChanges: () => {
      const writes = held;
      held = logic.takeChanges();
      return writes;
    },
    dropChanges: () => logic.dropChanges(),
  };
}

/** A logic that is another's, but for what is given. */
function logicLike(logic: StatefulLogic, changed: Partial<StatefulLogic>): StatefulLogic {
  return {
    operatorId: logic.operatorId,
    prefetch: (batch, reader) => logic.prefetch(batch, reader),
    apply: (batch) => logic.apply(batch),
    takeChanges: () => logic.takeChanges(),
    dropChanges: () => logic.dropChanges(),
    changesStored: () => logic.changesStored?.(),
    get needsFlush() {
      return logic.needsFlush ?? false;
    },
    ...changed,
  };
}

/** A query whose section is made to be another. */
function withSection(query: QueryDefinition, change: (section: Section) => Section): QueryDefinition {
  return { ...query, openSection: (start, state) => change(query.openSection(start, state)) };
}

/** Lets logics believe that a flush is in the store as soon as it is taken: keys are let go before the store has them. */
function storedWhenTaken(section: Section): Section {
  const early = (logic: StatefulLogic): StatefulLogic =>
    logicLike(logic, {
      takeChanges: () => {
        const writes = logic.takeChanges();
        logic.changesStored?.();
        return writes;
      },
      changesStored: () => undefined,
    });
  return { ...section, logics: section.logics.map(early) };
}

/** Lets logics believe, batch by batch, that what they changed is in the store: keys are let go that no flush has taken. */
function changedKeysGo(section: Section): Section {
  const held: StateWrite[] = [];
  const believe = tap<RecordBatch>(() => {
    for (const logic of section.logics) {
      held.push(...logic.takeChanges());
      logic.changesStored?.();
    }
  });
  const logics = section.logics.map((logic, index) =>
    logicLike(logic, {
      takeChanges: () => (index === 0 ? held.splice(0) : []),
      changesStored: () => undefined,
    }),
  );
  return { ...section, steps: [...section.steps, { operator: believe, fate: 'keeps' }], logics };
}

/** Emits what a replay computes, beside the transactions. */
function emitWhileReplaying(query: QueryDefinition, broker: BrokerModel): QueryDefinition {
  return {
    ...query,
    openSection: (start, state) => {
      const section = query.openSection(start, state);
      const committed = broker.decidedPosition?.offset ?? 0;
      const emit = concatMap((batch: Parameters<QueryDefinition['encode']>[0]) =>
        of(batch).pipe(
          tap((records) => {
            if ((records.offsets[0] ?? Infinity) >= committed) return;
            for (const messages of query.encode(records).messages) sendPlain(broker, messages);
          }),
        ),
      );
      return { ...section, steps: [...section.steps, { operator: emit, fate: 'keeps' }] };
    },
  };
}

/** Takes a commit for made where the log stands at its end already, as it does at one that only says that the partition is idle. */
function toldByItsEnd(log: CommitLog): CommitLog {
  let committedTo: number | undefined;
  return logLike(log, {
    commit: async (batch) => {
      const to = batch.ranges.at(-1)?.to;
      if (to !== undefined && to === committedTo) return;
      await log.commit(batch);
      committedTo = to ?? committedTo;
    },
  });
}

/** Writes the state of a batch first, and commits the batch then. */
function stateFirst(log: CommitLog, write: (batch: Commit) => Promise<void>): CommitLog {
  return logLike(log, {
    commit: async (batch) => {
      await write(batch);
      await log.commit({ ...batch, state: null });
    },
  });
}

/** The bugs that the harness must catch; the first five are named in `exactly-once.md`. */
export const plantedBugs: readonly PlantedBug[] = [
  {
    name: 'state is written before the commit',
    commitLog: (log, { state }, { redis }) =>
      stateFirst(log, async ({ ranges, metadata, state: flush }) => {
        const to = ranges.at(-1)?.to;
        if (to === undefined || flush === null) return;
        const epoch = Number(redis.state.header.get('epoch') ?? '1');
        await state.write({ to, metadata: writeNote({ metadata, epoch, origin: 0 }), writes: flush.writes });
      }),
  },
  { name: 'INCR in place of a value', client: (client, seams) => relativeWrites(client, seams) },
  {
    name: 'no fence: each owner has a transactional id of its own',
    transactionalId: ({ owner }) => owner,
  },
  {
    name: 'a producer is kept after an unclear commit',
    options: (options) => {
      let kept: TaskProducer | null = null;
      let known: CommittedPosition | null = null;
      let sent: CommittedPosition | null = null;
      let isKept = false;
      return {
        ...options,
        openProducer: async () => {
          isKept = kept !== null;
          const producer = kept ?? (await options.openProducer());
          kept = producer;
          return producerLike(producer, {
            init: () => (isKept ? Promise.resolve() : producer.init()),
            commit: async () => {
              await producer.commit();
              known = sent;
            },
            sendPosition: (position) => {
              sent = position;
              return producer.sendPosition(position);
            },
          });
        },
        // Whoever keeps the producer believes its own memory, not the log.
        committed: async () => (isKept ? known : (known = await options.committed())),
      };
    },
  },
  { name: 'a replay emits', query: (query, { broker }) => emitWhileReplaying(query, broker) },
  {
    name: 'the position is committed outside the transaction',
    producer: (producer, { broker }) =>
      producerLike(producer, {
        sendPosition: async (position) => {
          await producer.sendPosition(position);
          broker.commitPosition(position);
        },
      }),
  },
  { name: "the state's compare-and-set ignores the offset before", rules: { offset: 'unchecked' } },
  { name: "the state's compare-and-set ignores the owner", rules: { owner: 'unchecked' } },
  { name: 'reads do not look where the state stands', rules: { reads: 'unchecked' } },
  {
    name: 'the replay starts at the committed offset, not at the state',
    commitLog: (log) =>
      logLike(log, {
        acquire: async (): Promise<Acquired> => {
          const acquired = await log.acquire();
          return { ...acquired, stateAt: acquired.committed, replay: [] };
        },
      }),
  },
  {
    name: 'the watermark is not restored',
    commitLog: (log) =>
      logLike(log, {
        acquire: async (): Promise<Acquired> => {
          const acquired = await log.acquire();
          return { ...acquired, stateMetadata: withoutWatermarks(acquired.stateMetadata) };
        },
      }),
  },
  {
    name: 'dead letters are sent outside the transaction',
    producer: (producer, { broker }) =>
      producerLike(producer, {
        send: async (messages) => {
          if (messages.topic === 'dead') sendPlain(broker, messages);
          else await producer.send(messages);
        },
      }),
  },
  {
    name: 'state is flushed under an offset one flush ahead of it',
    query: (query) => withSection(query, (section) => ({ ...section, logics: section.logics.map(oneFlushLate) })),
  },
  {
    name: 'a key that has changed since the last flush is let go',
    query: (query) => withSection(query, changedKeysGo),
  },
  {
    name: 'a key is let go before its flush is in the store',
    query: (query) => withSection(query, storedWhenTaken),
  },
  {
    name: 'a commit that was not answered counts as committed',
    producer: (producer) =>
      producerLike(producer, {
        commit: () =>
          producer.commit().catch((error: unknown) => {
            if (!(error instanceof ProducerFailure) || error.fault === 'fenced') throw error;
          }),
      }),
  },
  {
    name: 'a commit that was not answered counts as failed',
    options: (options) => {
      let first: Awaited<ReturnType<typeof options.committed>> | undefined;
      return {
        ...options,
        committed: async () => {
          if (first === undefined) first = await options.committed();
          else await options.committed();
          return first;
        },
      };
    },
  },
  { name: 'a commit that moves no position counts as made', commitLog: (log) => toldByItsEnd(log) },
  {
    name: 'the position is read before the former owner is fenced',
    options: (options) => {
      let early: Awaited<ReturnType<typeof options.committed>> | undefined;
      return {
        ...options,
        openProducer: async () => {
          early = await options.committed();
          return options.openProducer();
        },
        committed: () => (early === undefined ? options.committed() : Promise.resolve(early)),
      };
    },
  },
];
