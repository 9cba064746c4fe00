import type { ClickHouseClient } from '@clickhouse/client';
import { createClickHouse, type ClickHouseAddress, type ClickHouseClientOptions } from './create-clickhouse.ts';

/**
 * A way to a ClickHouse, which may be down, or start anew elsewhere, while a job runs. Sinks and services ask for the client at each use, and
 * keep none.
 */
export interface ClickHouseAccess extends AsyncDisposable {
  /** @throws {SluiceError} `CLICKHOUSE_UNAVAILABLE`, transient. A server that is away may also show only when the client is used. */
  client(): Promise<ClickHouseClient>;
}

/** The way to a server that others run. */
export class ClusterClickHouse implements ClickHouseAccess {
  readonly #client: ClickHouseClient;

  constructor(address: ClickHouseAddress, options: ClickHouseClientOptions = {}) {
    this.#client = createClickHouse(address, options);
  }

  client(): Promise<ClickHouseClient> {
    return Promise.resolve(this.#client);
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#client.close();
  }
}
