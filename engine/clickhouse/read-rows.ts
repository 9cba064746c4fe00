import type { ClickHouseSettings } from '@clickhouse/client';
import type { ClickHouseAccess } from './clickhouse-access.ts';
import { clickHouseFailure } from './clickhouse-failure.ts';

/** A row as ClickHouse writes it in JSON. */
export type ClickHouseRow = Readonly<Record<string, unknown>>;

/** As Sluice's own records are written: instants in ISO 8601, whole numbers without quotes; sent with each query, since servers' defaults differ. */
const rowSettings: ClickHouseSettings = {
  date_time_output_format: 'iso',
  output_format_json_quote_64bit_integers: 0,
  output_format_json_quote_decimals: 0,
  output_format_json_quote_denormals: 0,
};

/**
 * All rows that a query gives; for what fits into memory.
 *
 * @param action as in {@link clickHouseFailure}.
 * @throws {SluiceError} `CLICKHOUSE_UNAVAILABLE`, `CLICKHOUSE_BUSY` (transient), `CLICKHOUSE_REFUSED`
 */
export async function readRows(
  clickHouse: ClickHouseAccess,
  action: string,
  query: string,
): Promise<readonly ClickHouseRow[]> {
  try {
    const client = await clickHouse.client();
    const answer = await client.query({ query, format: 'JSONEachRow', clickhouse_settings: rowSettings });
    return await answer.json<ClickHouseRow>();
  } catch (thrown) {
    throw clickHouseFailure(action, thrown);
  }
}
