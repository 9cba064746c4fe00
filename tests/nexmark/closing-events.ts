import type { NexmarkEvent } from '../../simulation/nexmark/event.ts';

const dayMs = 86_400_000;
/** As many as jobs follow one another in a query, and one more: the last closes what the one before it brought. */
const rounds = 6;

/** An instant behind all events from which on there is nothing but closing events. */
export function closingFromMs(events: readonly NexmarkEvent[]): number {
  const last = events.reduce((latest, { published }) => Math.max(latest, published), 0);
  return (Math.floor(last / dayMs) + 2) * dayMs;
}

/**
 * What lets the windows of a bounded stream close, in each job of a chain: an auction that is bid for by its own seller, who has just come, once a day. Ids are of the
 * partition's own, and the person's is the auction's.
 */
export function closingEvents(fromMs: number, partition: number): readonly NexmarkEvent[] {
  return Array.from({ length: rounds }, (_, round): readonly NexmarkEvent[] => {
    const dateTime = fromMs + round * dayMs;
    const id = 1_000_000 + partition * rounds + round;
    const times = { dateTime, published: dateTime };
    return [
      {
        event_type: 0,
        id,
        name: 'Last',
        emailAddress: '',
        creditCard: '',
        city: 'Salem',
        state: 'OR',
        ...times,
        extra: '',
      },
      {
        event_type: 1,
        id,
        itemName: 'last',
        description: '',
        initialBid: 100,
        reserve: 100,
        expires: dateTime + 1_000,
        seller: id,
        category: 10,
        ...times,
        extra: '',
      },
      { event_type: 2, auction: id, bidder: id, price: 100, channel: 'last', url: '', ...times, extra: '' },
    ];
  }).flat();
}
