import { strict as assert } from 'node:assert';
import { isBalanced } from '../observability/ledger.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { LATE } from '../record/record-batch.ts';
import { countFlagged } from './count-flagged.ts';
import type { Flight } from './flight.ts';
import type { Outputs, QueryDefinition, Scored } from './query-definition.ts';
import { withBytes } from './whole-letters.ts';

/** Outputs of a batch that is ready to commit. */
export interface Encoded {
  readonly flight: Flight;
  readonly outputs: readonly MessageBatch[];
  /** How many records are published. */
  readonly answered: number;
  /** How many that were answered before are told anew. */
  readonly amended: number;
}

/** What scoring came to: its result, or what it failed with. */
export type Settled<T> = T | { readonly error: unknown };

/**
 * Writes a batch as messages, and accounts for its records. Called for each batch once it has been scored, in order.
 *
 * @param told what is said anew, scored where the query scores it.
 * @throws what scoring failed with.
 */
export function encodeFlight(
  query: QueryDefinition,
  flight: Flight,
  scored: Settled<Scored>,
  told: Settled<Pick<Flight, 'amended'>>,
): Encoded {
  if ('error' in scored) throw scored.error;
  if ('error' in told) throw told.error;
  const { messages, deadLetters: unwritten } = query.encode(scored.records);
  const { absorbed } = flight;
  const late = absorbed === null || absorbed.late.rowCount === 0 ? undefined : query.encodeLate?.(absorbed.late);
  const amended = encodeAmended(query, told);
  const fromOutputs = [...(absorbed?.spoiled ?? []), ...scored.deadLetters, ...unwritten];
  const deadLetters = withBytes(
    [...flight.deadLetters, ...fromOutputs, ...(late?.deadLetters ?? []), ...amended.deadLetters],
    flight.messages,
  );
  const outputs = [
    ...messages,
    ...(late?.messages ?? []),
    ...amended.messages,
    ...(deadLetters.length > 0 ? [query.encodeDeadLetters(deadLetters)] : []),
  ];
  const answered = scored.records.rowCount - unwritten.length;
  const lateCount = absorbed?.late.rowCount ?? countFlagged(scored.records, LATE);
  const ledger = {
    ...flight.ledger,
    late: lateCount,
    scored: absorbed?.taken ?? answered - lateCount,
    // Where outputs are records of their own, one that cannot be written leaves the records behind it counted as taken.
    deadLettered: flight.deadLetters.length + (absorbed === null ? fromOutputs.length : 0),
  };
  assert(isBalanced(ledger), `every record read must be accounted for: ${JSON.stringify(ledger)}`);
  const toldCount = amended.messages.reduce((count, { messageCount }) => count + messageCount, 0);
  return { flight: { ...flight, records: scored.records, deadLetters, ledger }, outputs, answered, amended: toldCount };
}

function encodeAmended(query: QueryDefinition, { amended }: Pick<Flight, 'amended'>): Outputs {
  if (amended === null || amended === undefined) return { messages: [], deadLetters: [] };
  const encoded = query.encodeAmended?.(amended);
  assert(encoded !== undefined, 'a query whose operators amend records says where to');
  return encoded;
}
