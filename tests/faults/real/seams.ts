import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { TaskProducer } from '../../../engine/sink/kafka/task-producer.ts';
import type { TaskState } from '../../../engine/state/redis/task-state.ts';
import type { WorkerSeams } from '../../cluster/cluster-worker.ts';

/** A place in the commit protocol at which a worker can be struck. */
export type Seam = 'before the commit' | 'after the commit' | 'before the state write' | 'after the state write';

/** What a run leaves in a worker's trap file: the next time that it comes to that seam, it sends itself that signal. */
export interface Trap {
  readonly at: Seam;
  readonly signal: 'SIGKILL' | 'SIGSTOP';
}

/** The seams of a worker that looks for traps in a file; it takes a trap away before it goes into it. */
export function trappedSeams(trapFile: string): WorkerSeams {
  const reach = (seam: Seam): void => {
    if (!existsSync(trapFile)) return;
    // Whoever set it may take it away at any moment; only one of the two gets it.
    const { at, signal } = trapIn(trapFile);
    if (at !== seam || !takeTrap(trapFile)) return;
    process.kill(process.pid, signal ?? 0);
  };
  return {
    producer: (producer) =>
      producerLike(producer, {
        commit: async () => {
          reach('before the commit');
          await producer.commit();
          reach('after the commit');
        },
      }),
    state: (state) =>
      stateLike(state, {
        write: async (step) => {
          reach('before the state write');
          const answer = await state.write(step);
          reach('after the state write');
          return answer;
        },
      }),
  };
}

/** Sets a trap, whole at once. */
export function setTrap(trapFile: string, trap: Trap): void {
  writeFileSync(`${trapFile}.new`, JSON.stringify(trap));
  renameSync(`${trapFile}.new`, trapFile);
}

/** Takes a trap away; whether it was still there. */
export function takeTrap(trapFile: string): boolean {
  try {
    renameSync(trapFile, `${trapFile}.taken`);
    return true;
  } catch {
    return false;
  }
}

function trapIn(trapFile: string): Partial<Trap> {
  try {
    return JSON.parse(readFileSync(trapFile, 'utf8')) as Trap;
  } catch {
    return {};
  }
}

/** A producer that is another's, but for what is given. */
export function producerLike(producer: TaskProducer, changed: Partial<TaskProducer>): TaskProducer {
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

/** A state that is another's, but for what is given. */
export function stateLike(state: TaskState, changed: Partial<TaskState>): TaskState {
  return {
    claim: (minEpoch) => state.claim(minEpoch),
    write: (step) => state.write(step),
    getMany: (operatorId, keys) => state.getMany(operatorId, keys),
    scan: (operatorId) => state.scan(operatorId),
    scanSome: (operatorId, from, aboutKeys) => state.scanSome(operatorId, from, aboutKeys),
    [Symbol.asyncDispose]: () => state[Symbol.asyncDispose](),
    ...changed,
  };
}

/** Both, the inner one's parts taken first. */
export function bothSeams(inner: WorkerSeams, outer: WorkerSeams): WorkerSeams {
  return {
    producer: (producer, task) => {
      const taken = inner.producer?.(producer, task) ?? producer;
      return outer.producer?.(taken, task) ?? taken;
    },
    redis: (client, task) => {
      const taken = inner.redis?.(client, task) ?? client;
      return outer.redis?.(taken, task) ?? taken;
    },
    state: (state, task) => {
      const taken = inner.state?.(state, task) ?? state;
      return outer.state?.(taken, task) ?? taken;
    },
    commitLog: (log, state, task) => {
      const taken = inner.commitLog?.(log, state, task) ?? log;
      return outer.commitLog?.(taken, state, task) ?? taken;
    },
    query: (query, task) => {
      const taken = inner.query?.(query, task) ?? query;
      return outer.query?.(taken, task) ?? taken;
    },
  };
}
