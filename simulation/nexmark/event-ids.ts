import type { Xoshiro128 } from '../random/xoshiro128.ts';

/** Of 50 events the first is a person, the next three are auctions, and 46 are bids. */
export const proportions = { person: 1, auction: 3, total: 50 } as const;

/** The smallest id of a person, and of an auction. */
export const firstId = 1_000;

/** Auctions that are open at a time, by and large. */
export const auctionsInFlight = 100;
/** Persons of whom the newest are still active. */
const activePersons = 1_000;
/** How many ids ahead of the newest one an event may refer to: to a person, or an auction, that is yet to come. */
const lead = 10;
/** One person, or auction, in so many is a hot one: the newest of them gets most of what happens. */
const hotEvery = 100;
/** Of so many draws all but one choose the hot one. */
const hotDraws = { auction: 2, seller: 4, bidder: 4 } as const;

/** How many persons there are up to event number `n`, that one included; less one. */
export function newestPerson(n: number): number {
  return Math.floor(n / proportions.total);
}

/** As {@link newestPerson}, of auctions; −1 before the first. */
export function newestAuction(n: number): number {
  const round = Math.floor(n / proportions.total);
  const within = (n % proportions.total) - proportions.person;
  return round * proportions.auction + Math.min(Math.max(within, -1), proportions.auction - 1);
}

/** Who sells in event `n`: mostly the hot seller. */
export function sellerAt(n: number, random: Xoshiro128): number {
  const isHot = random.below(hotDraws.seller) > 0;
  return firstId + (isHot ? hotOf(newestPerson(n)) : anyPerson(n, random));
}

/** Who bids in event `n`: mostly the hot bidder, who is not the hot seller. */
export function bidderAt(n: number, random: Xoshiro128): number {
  const isHot = random.below(hotDraws.bidder) > 0;
  return firstId + (isHot ? hotOf(newestPerson(n)) + 1 : anyPerson(n, random));
}

/** What is bid for in event `n`: half of the time the hot auction, otherwise one of those in flight. */
export function auctionBidFor(n: number, random: Xoshiro128): number {
  const newest = Math.max(newestAuction(n), 0);
  if (random.below(hotDraws.auction) > 0) return firstId + hotOf(newest);
  const oldest = Math.max(newest - auctionsInFlight, 0);
  return firstId + oldest + random.below(newest - oldest + 1 + lead);
}

function hotOf(newest: number): number {
  return Math.floor(newest / hotEvery) * hotEvery;
}

function anyPerson(n: number, random: Xoshiro128): number {
  const persons = newestPerson(n) + 1;
  const active = Math.min(persons, activePersons);
  return persons - active + random.below(active + lead);
}
