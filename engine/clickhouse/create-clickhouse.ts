import {
  ClickHouseLogLevel,
  createClient,
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
} from '@clickhouse/client';

/** Where a ClickHouse listens, and who asks. */
export interface ClickHouseAddress {
  /** `http://host:8123` or `https://…`. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
}

/** The client's settings that do not say where the server is. */
export type ClickHouseClientOptions = Omit<ClickHouseClientConfigOptions, 'url' | 'username' | 'password' | 'database'>;

/**
 * The ordinary ClickHouse client, for the embedded server and for any other: the only place that makes one. Integers of 64 bits come as
 * numbers, whatever the server's version has as its default: counts, offsets and instants fit in the 53 bits of JavaScript's.
 *
 * @returns a client that its caller closes.
 */
export function createClickHouse(address: ClickHouseAddress, options: ClickHouseClientOptions = {}): ClickHouseClient {
  return createClient({
    application: 'sluice',
    // The client would log what it throws, statements and their parameters among it; whoever catches it decides what is said.
    log: { level: ClickHouseLogLevel.OFF },
    ...options,
    clickhouse_settings: { output_format_json_quote_64bit_integers: 0, ...options.clickhouse_settings },
    url: address.url,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
    ...(address.database === undefined ? {} : { database: address.database }),
    // What the server says of an idle connection (keep-alive) is believed only when it is well within it: a connection that the server
    // closes as a request goes out looks like a failed insert.
    keep_alive: { enabled: true, idle_socket_ttl: 2_500 },
  });
}
