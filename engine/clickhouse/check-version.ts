import { SluiceError } from '../error.ts';
import type { ClickHouseAccess } from './clickhouse-access.ts';
import { clickHouseFailure } from './clickhouse-failure.ts';

/** The first long-term release that knows every setting that the sink sends and every word of the migrations. Older ones were not tried. */
const oldest = { year: 24, month: 8 };

/**
 * Refuses a ClickHouse that is too old. Called by `sluice migrate` before it makes anything, and by the checks before a job starts.
 *
 * @returns the server's version, as it says it.
 * @throws {SluiceError} `CLICKHOUSE_TOO_OLD`; `CLICKHOUSE_UNAVAILABLE` (transient); `CLICKHOUSE_REFUSED`.
 */
export async function checkClickHouseVersion(clickHouse: ClickHouseAccess): Promise<string> {
  let version: string;
  try {
    const client = await clickHouse.client();
    const answer = await client.query({ query: 'SELECT version()', format: 'TabSeparated' });
    version = (await answer.text()).trim();
  } catch (error) {
    throw clickHouseFailure('ask ClickHouse for its version', error);
  }
  if (isNewEnough(version)) return version;
  throw new SluiceError(
    'CLICKHOUSE_TOO_OLD',
    `ClickHouse must be of version ${oldest.year}.${oldest.month} or later; got ${version}. Update it`,
    { fields: { version } },
  );
}

/** Whether a version such as `26.7.5.10` is `oldest` or later. */
export function isNewEnough(version: string): boolean {
  const [year = 0, month = 0] = version.split('.').map(Number);
  return year > oldest.year || (year === oldest.year && month >= oldest.month);
}
