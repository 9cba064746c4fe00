/** A person who may sell and bid. Fields as Nexmark has them; times are milliseconds since the epoch. */
export interface Person {
  readonly event_type: 0;
  readonly id: number;
  readonly name: string;
  readonly emailAddress: string;
  readonly creditCard: string;
  readonly city: string;
  readonly state: string;
  readonly dateTime: number;
  /** When the event was written to the log: Nexmark has no such field, and reads the clock where it needs one. */
  readonly published: number;
  readonly extra: string;
}

/** Something that a person sells to whoever has bid most when it expires. Prices are in cents. */
export interface Auction {
  readonly event_type: 1;
  readonly id: number;
  readonly itemName: string;
  readonly description: string;
  readonly initialBid: number;
  readonly reserve: number;
  readonly dateTime: number;
  readonly expires: number;
  readonly seller: number;
  readonly category: number;
  readonly published: number;
  readonly extra: string;
}

/** What a person offers for an auction, which may be over, or not have begun. */
export interface Bid {
  readonly event_type: 2;
  readonly auction: number;
  readonly bidder: number;
  readonly price: number;
  readonly channel: string;
  readonly url: string;
  readonly dateTime: number;
  readonly published: number;
  readonly extra: string;
}

/** An event of the auction house. `event_type` is what tells the kinds apart where they are in one stream. */
export type NexmarkEvent = Person | Auction | Bid;
