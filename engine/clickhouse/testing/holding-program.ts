import { systemClock } from '../../time/clock.ts';
import { EmbeddedClickHouse } from '../embedded-clickhouse.ts';

/** Opens a directory's ClickHouse, puts a row into a table, says where it listens, and holds it until it is killed. */
const clickHouse = await EmbeddedClickHouse.open({ directory: process.argv[2] ?? '', clock: systemClock });
const client = await clickHouse.client();
await client.command({ query: 'CREATE TABLE held (n UInt8) ENGINE = MergeTree ORDER BY n' });
await client.insert({ table: 'held', values: [{ n: 42 }], format: 'JSONEachRow' });
process.stdout.write(`endpoint ${JSON.stringify(clickHouse.endpoint)}\n`);
await systemClock.sleep(2 ** 30);
