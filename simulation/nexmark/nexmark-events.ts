import { Xoshiro128 } from '../random/xoshiro128.ts';
import type { Auction, Bid, NexmarkEvent, Person } from './event.ts';
import {
  auctionBidFor,
  auctionsInFlight,
  bidderAt,
  firstId,
  newestAuction,
  newestPerson,
  proportions,
  sellerAt,
} from './event-ids.ts';

/** What an auction house's stream is made of. The same options give the same events. */
export interface NexmarkOptions {
  readonly seed: number;
  readonly events: number;
  /** Event time of the first event. */
  readonly startMs: number;
  /** Event time from one event to the next. */
  readonly gapMs: number;
  /** Events that reach the log later than others: this share of them, each by up to `maxDelayMs`. */
  readonly delayed: { readonly share: number; readonly maxDelayMs: number };
}

/** Ten events a second from midnight on, a tenth of them up to 3 s late (the share and the length of Nexmark's occasional delay). */
export const defaultNexmarkOptions: NexmarkOptions = {
  seed: 1,
  events: 20_000,
  startMs: Date.UTC(2026, 0, 1),
  gapMs: 100,
  delayed: { share: 0.1, maxDelayMs: 3_000 },
};

/** Categories are numbered from here. */
const firstCategory = 10;
const categories = 5;
const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY'] as const;
const cities = [
  'Tempe',
  'Fresno',
  'Nampa',
  'Salem',
  'Tacoma',
  'Laramie',
  'Yuma',
  'Oakland',
  'Eugene',
  'Yakima',
] as const;
const firstNames = ['Ada', 'Bela', 'Chen', 'Dora', 'Emil', 'Fatma', 'Goran', 'Hanna', 'Ines', 'Jonas', 'Kofi'] as const;
const lastNames = ['Abel', 'Brandt', 'Castro', 'Duarte', 'Eriksen', 'Fuchs', 'Greco', 'Horvat', 'Ito'] as const;
const hotChannels = ['Apple', 'Google', 'Facebook', 'Baidu'] as const;
const otherChannels = 10_000;
const letters = 'abcdefghijklmnopqrstuvwxyz';

/**
 * The events of an on-line auction house, in the order in which they reach the log: after the model of Nexmark (Tucker, Tufte, Papadimos, Maier, "NEXMark: A Benchmark for Queries over
 * Data Streams", 2002), with the proportions, the hot auctions, sellers and bidders, and the lengths of auctions of Apache Beam's generator. Names and texts are our own.
 *
 * Called by tests and benchmarks. Event `n` has the event time `startMs + n * gapMs`.
 */
export function nexmarkEvents(overrides: Partial<NexmarkOptions> = {}): readonly NexmarkEvent[] {
  const options = { ...defaultNexmarkOptions, ...overrides };
  const { seed, events, delayed } = options;
  const random = new Xoshiro128(seed, 'nexmark');
  const urls = new Xoshiro128(seed, 'nexmark urls');
  const delays = new Xoshiro128(seed, 'nexmark delays');
  const made = Array.from({ length: events }, (_, n): NexmarkEvent => {
    const dateTime = options.startMs + n * options.gapMs;
    const isLate = delays.nextDouble() < delayed.share;
    const published = dateTime + (isLate ? 1 + delays.below(delayed.maxDelayMs) : 0);
    const within = n % proportions.total;
    if (within < proportions.person) return person(n, { dateTime, published }, random);
    if (within < proportions.person + proportions.auction) return auction(n, { dateTime, published }, options, random);
    return bid(n, { dateTime, published }, random, urls);
  });
  // A stable sort: of those that arrive at once, the earlier one comes first.
  return made.sort((a, b) => a.published - b.published);
}

type Times = Pick<NexmarkEvent, 'dateTime' | 'published'>;

function person(n: number, times: Times, random: Xoshiro128): Person {
  const name = `${one(firstNames, random)} ${one(lastNames, random)}`;
  return {
    event_type: 0,
    id: firstId + newestPerson(n),
    name,
    emailAddress: `${text(7, random)}@${text(5, random)}.example`,
    creditCard: Array.from({ length: 4 }, () => String(random.below(10_000)).padStart(4, '0')).join(' '),
    city: one(cities, random),
    state: one(states, random),
    ...times,
    extra: text(20, random),
  };
}

function auction(n: number, times: Times, { gapMs }: NexmarkOptions, random: Xoshiro128): Auction {
  const initialBid = price(random);
  // As long as it takes for as many auctions to begin as are in flight, on average.
  const horizonMs = Math.floor((auctionsInFlight * proportions.total) / proportions.auction) * gapMs;
  return {
    event_type: 1,
    id: firstId + newestAuction(n),
    itemName: text(20, random),
    description: text(60, random),
    initialBid,
    reserve: initialBid + price(random),
    expires: times.dateTime + 1 + random.below(Math.max(2 * horizonMs, 1)),
    seller: sellerAt(n, random),
    category: firstCategory + random.below(categories),
    ...times,
    extra: text(20, random),
  };
}

function bid(n: number, times: Times, random: Xoshiro128, urls: Xoshiro128): Bid {
  const channel = random.below(2) > 0 ? one(hotChannels, random) : `channel-${random.below(otherChannels)}`;
  return {
    event_type: 2,
    auction: auctionBidFor(n, random),
    bidder: bidderAt(n, random),
    price: price(random),
    channel,
    url: url(random, urls),
    ...times,
    extra: text(20, random),
  };
}

/** Of three folders; nine of ten say by which channel they were reached. */
function url(random: Xoshiro128, urls: Xoshiro128): string {
  const path = `${text(5, random)}/${text(5, urls)}/${text(5, urls)}`;
  const channel = random.below(otherChannels);
  return `https://www.example.com/${path}/item.htm?query=1${urls.below(10) > 0 ? `&channel_id=${channel}` : ''}`;
}

/** From 100 to 100,000,000, evenly on a scale of logarithms. */
function price(random: Xoshiro128): number {
  return Math.round(10 ** (random.nextDouble() * 6) * 100);
}

function one<T extends string>(choices: readonly T[], random: Xoshiro128): T | '' {
  return choices[random.below(choices.length)] ?? '';
}

function text(length: number, random: Xoshiro128): string {
  let made = '';
  for (let i = 0; i < length; i++) made += letters[random.below(letters.length)] ?? '';
  return made;
}
