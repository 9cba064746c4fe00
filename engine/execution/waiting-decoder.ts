import type { Decoder } from '../serde/decoder.ts';

/** Makes a call again for as long as what it needs is away; `retryTransient` with a query's clock and signal. */
export type Retry = <T>(call: () => Promise<T>) => Promise<T>;

/**
 * The decoder of a running query: while the schema registry is away it waits with its one batch in hand, as a query does for its log, and loses nothing.
 *
 * @param retry how to try again.
 */
export function waitingDecoder(decoder: Decoder, retry: Retry): Decoder {
  return {
    prepare: (messages) => {
      let attempt = decoder.prepare(messages);
      if (attempt === null) return null;
      return retry(async () => {
        const preparing = attempt ?? decoder.prepare(messages);
        attempt = null;
        if (preparing !== null) await preparing;
      });
    },
    decode: (messages) => decoder.decode(messages),
  };
}
