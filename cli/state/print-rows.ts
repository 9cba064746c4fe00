import Table from 'cli-table3';
import type { StateRow } from '../../jobs/state/state-view.ts';

/** How rows are printed: for people, or one JSON object a line, which ClickHouse reads as JSONEachRow. */
export type RowFormat = 'table' | 'jsonl';

/** Prints rows as they come; a table when all of them are there, which `--limit` keeps short. */
export async function printRows(rows: AsyncIterable<StateRow>, format: RowFormat): Promise<void> {
  if (format === 'jsonl') {
    for await (const row of rows) process.stdout.write(`${JSON.stringify(row)}\n`);
    return;
  }
  const table = new Table({ head: ['operator', 'key', 'event time', 'values'], style: { head: [], border: [] } });
  for await (const { operator, key, event_time, values } of rows) {
    table.push([operator, key === null ? '' : fieldsOf(key), event_time ?? '', fieldsOf(values)]);
  }
  process.stdout.write(`${table.toString()}\n`);
}

function fieldsOf(values: Readonly<Record<string, unknown>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('  ');
}
