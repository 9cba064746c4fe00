import { SluiceError } from '../error.ts';
import type { ClickHouseAccess } from './clickhouse-access.ts';
import { clickHouseFailure } from './clickhouse-failure.ts';

/**
 * Refuses a table that is not there. Called by a sink before it reads its topic, so that the fault is named at once and not with the first message.
 *
 * @throws {SluiceError} `CLICKHOUSE_TABLE_MISSING`; `CLICKHOUSE_UNAVAILABLE` (transient); `CLICKHOUSE_REFUSED`.
 */
export async function checkTable(clickHouse: ClickHouseAccess, table: string): Promise<void> {
  let isThere: boolean;
  try {
    const client = await clickHouse.client();
    // The name was checked when the job was: letters, digits, _ and one dot.
    const answer = await client.query({ query: `EXISTS TABLE ${table}`, format: 'TabSeparated' });
    isThere = (await answer.text()).trim() === '1';
  } catch (error) {
    throw clickHouseFailure(`look for table ${table}`, error);
  }
  if (isThere) return;
  throw new SluiceError(
    'CLICKHOUSE_TABLE_MISSING',
    `ClickHouse must have a table ${table}; there is none. \`sluice migrate\` makes Sluice's own, others are yours to create`,
    { fields: { table } },
  );
}
