import type { StateDescriber } from '../../engine/state/state-describer.ts';
import { keptEntry } from '../keyed/kept-entry.ts';
import { sessionFormat, type SessioniseDefinition } from './session-logic.ts';

/** How the state of sessions reads: the current session of each key, and the watermarks that the operator has seen. */
export function describeSessions({ operatorId, key, gapMs, forgetMs, closedBy }: SessioniseDefinition): StateDescriber {
  return {
    operatorId,
    kind: 'sessions',
    keyFields: key,
    filedBy: 'inside',
    keepsMs: null,
    identity: JSON.stringify([gapMs, forgetMs, closedBy]),
    layout: 'number, start, newest',
    rowsOf: (entry) =>
      keptEntry(entry, (bytes) => {
        const { number, startMs, newestMs } = sessionFormat.decode(bytes);
        const values = { session_number: number, session_start: startMs, newest: newestMs };
        return [{ eventTimeMs: null, values }];
      }),
  };
}
