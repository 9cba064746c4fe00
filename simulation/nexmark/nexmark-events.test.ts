import { describe, expect, it } from 'vitest';
import type { Auction, Bid, NexmarkEvent, Person } from './event.ts';
import { defaultNexmarkOptions, nexmarkEvents } from './nexmark-events.ts';

const events = nexmarkEvents();
const persons = events.filter((event): event is Person => event.event_type === 0);
const auctions = events.filter((event): event is Auction => event.event_type === 1);
const bids = events.filter((event): event is Bid => event.event_type === 2);

describe("Nexmark's events", () => {
  it('are persons, auctions and bids as 1 to 3 to 46', () => {
    expect([persons.length, auctions.length, bids.length]).toEqual([400, 1_200, 18_400]);
  });

  it('number persons and auctions from 1000 on, without a gap, in event time', () => {
    for (const kind of [persons, auctions] as const) {
      const ids = [...(kind as readonly (NexmarkEvent & { id: number })[])]
        .sort((a, b) => a.dateTime - b.dateTime)
        .map(({ id }) => id);
      expect(ids).toEqual(ids.map((_, index) => 1_000 + index));
    }
  });

  it('are the same for the same seed, and others for another', () => {
    expect(nexmarkEvents()).toEqual(events);
    expect(nexmarkEvents({ seed: 2 })).not.toEqual(events);
    expect(
      nexmarkEvents({ events: 500, delayed: { share: 0, maxDelayMs: 0 } }).map(({ dateTime }) => dateTime),
    ).toEqual(Array.from({ length: 500 }, (_, n) => defaultNexmarkOptions.startMs + n * 100));
  });

  it('come in the order in which they were published, a tenth of them up to 3 s late', () => {
    const late = events.filter(({ dateTime, published }) => published > dateTime);
    expect(late.length / events.length).toBeCloseTo(0.1, 1);
    expect(Math.max(...late.map(({ dateTime, published }) => published - dateTime))).toBeLessThanOrEqual(3_000);
    expect(events.every(({ published }, i) => i === 0 || published >= (events[i - 1]?.published ?? 0))).toBe(true);
  });

  it('give half of the bids to the hot auction of their time, and three quarters to the hot bidder', () => {
    const share = (test: (bid: Bid) => boolean): number => bids.filter(test).length / bids.length;
    expect(share(({ auction }) => auction % 100 === 0)).toBeCloseTo(0.5, 1);
    expect(share(({ bidder }) => bidder % 100 === 1)).toBeCloseTo(0.75, 1);
  });

  it('let auctions be bid for before they begin, while they last, and after they expire', () => {
    const byId = new Map(auctions.map((auction) => [auction.id, auction]));
    const places = bids.map((bid) => {
      const auction = byId.get(bid.auction);
      if (auction === undefined || bid.dateTime < auction.dateTime) return 'before';
      return bid.dateTime <= auction.expires ? 'within' : 'after';
    });
    for (const place of ['before', 'within', 'after'])
      expect(places.filter((p) => p === place).length).toBeGreaterThan(200);
    const longest = Math.max(...auctions.map(({ dateTime, expires }) => expires - dateTime));
    expect(longest).toBeGreaterThan(300_000);
    expect(longest).toBeLessThanOrEqual(333_200);
  });
});
