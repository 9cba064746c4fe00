import { readFileSync } from 'node:fs';
import {
  ClickHouseLogLevel,
  createClient,
  type ClickHouseClient,
  type ClickHouseClientConfigOptions,
} from '@clickhouse/client';
import { messageOf, SluiceError } from '../error.ts';

/** Where a ClickHouse listens, and who asks. */
export interface ClickHouseAddress {
  /** `http://host:8123` or `https://…`. */
  readonly url: string;
  readonly username?: string;
  readonly password?: string;
  readonly database?: string;
  /** For `https://` where the system's certificate authorities are not enough. */
  readonly tls?: ClickHouseTls;
}

/** TLS towards ClickHouse. Files are PEM; a certificate of our own needs both its file and its key's. */
export interface ClickHouseTls {
  readonly caFile: string;
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** The client's settings that do not say where the server is. */
export type ClickHouseClientOptions = Omit<ClickHouseClientConfigOptions, 'url' | 'username' | 'password' | 'database'>;

/**
 * The ordinary ClickHouse client, for the embedded server and for any other: the only place that makes one. Integers of 64 bits come as
 * numbers, whatever the server's version has as its default: counts, offsets and instants fit in the 53 bits of JavaScript's.
 *
 * @returns a client that its caller closes.
 * @throws {SluiceError} `SECRET_UNREADABLE` when a certificate's file cannot be read.
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
    ...(address.tls === undefined ? {} : { tls: tlsOf(address.tls) }),
    // What the server says of an idle connection (keep-alive) is believed only when it is well within it: a connection that the server
    // closes as a request goes out looks like a failed insert.
    keep_alive: { enabled: true, idle_socket_ttl: 2_500 },
  });
}

function tlsOf({ caFile, certFile, keyFile }: ClickHouseTls): NonNullable<ClickHouseClientConfigOptions['tls']> {
  const ca_cert = readPem(caFile);
  if (certFile === undefined || keyFile === undefined) return { ca_cert };
  return { ca_cert, cert: readPem(certFile), key: readPem(keyFile) };
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const message = `could not read ${file}, which the ClickHouse settings name: ${messageOf(error)}`;
    throw new SluiceError('SECRET_UNREADABLE', message, { fields: { file }, cause: error });
  }
}
