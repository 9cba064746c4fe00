import type { CommitLog } from '../../../engine/execution/commit-log.ts';

/**
 * The commit log of a task that keeps no state, and so has nothing to make anew from the log: it goes on where it was committed, with the watermarks of that commit, whatever the state store says.
 * So neither a store that has lost everything nor a topic that no longer holds its beginning is of any matter to it.
 */
export function withoutState(log: CommitLog): CommitLog {
  return {
    get state() {
      return log.state;
    },
    acquire: async () => {
      const acquired = await log.acquire();
      return { ...acquired, stateAt: acquired.committed, stateMetadata: acquired.metadata, replay: [] };
    },
    commit: (batch) => log.commit(batch),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}
