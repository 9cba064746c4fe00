import type { StateDescriber } from '../../engine/state/state-describer.ts';
import { keptEntry } from '../keyed/kept-entry.ts';
import type { PatternDefinition } from './pattern-definition.ts';
import { patternFormat } from './pattern-logic.ts';

/**
 * How the state of a pattern reads: the records of each key that have begun a match, and the watermarks that the operator has seen.
 *
 * @param carried the fields of them that are kept, in order.
 * @param meaning of what begins a match, and of the fields that it reads.
 */
export function describePattern(
  { operatorId, key, withinMs, closedBy }: PatternDefinition,
  carried: readonly string[],
  meaning: string,
): StateDescriber {
  return {
    operatorId,
    kind: 'pattern',
    keyFields: key,
    filedBy: 'inside',
    keepsMs: null,
    identity: JSON.stringify([withinMs, closedBy]),
    layout: JSON.stringify([carried, meaning]),
    rowsOf: (entry) =>
      keptEntry(entry, (bytes) =>
        patternFormat.decode(bytes).map(({ eventTimeMs, cells }) => {
          const values = Object.fromEntries(carried.map((name, index) => [name, cells[index] ?? null]));
          return { eventTimeMs, values: { event_time: eventTimeMs, ...values } };
        }),
      ),
  };
}
