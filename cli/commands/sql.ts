import { Option, type Command } from 'commander';
import { SluiceError } from '../../engine/error.ts';
import { EmbeddedClickHouse } from '../../engine/clickhouse/embedded-clickhouse.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';

interface SqlOptions extends DirectoryOption {
  readonly format: string;
}

/** `sluice sql`: a query over the embedded ClickHouse, beside a running job or on its own. */
export function addSqlCommand(program: Command): void {
  program
    .command('sql')
    .description('query the embedded ClickHouse; also while a job writes to it')
    .argument('<query>', 'one statement')
    .addOption(new Option('--format <format>', 'any of ClickHouse’s output formats').default('PrettyCompactNoEscapes'))
    .option(...dataDirectory)
    .action(runSql);
}

async function runSql(query: string, { dir, format }: SqlOptions): Promise<void> {
  await using clickHouse = await EmbeddedClickHouse.open({ directory: dir, clock: systemClock });
  const client = await clickHouse.client();
  try {
    const { stream } = await client.exec({ query: `${query.replace(/;\s*$/, '')} FORMAT ${format}` });
    for await (const chunk of stream) process.stdout.write(chunk as Buffer);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new SluiceError('SQL_FAILED', `could not run the query: ${cause.trim()}`, { cause: error });
  }
}
