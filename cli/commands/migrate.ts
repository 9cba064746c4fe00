import { pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import pc from 'picocolors';
import { checkClickHouseVersion } from '../../engine/clickhouse/check-version.ts';
import { ClusterClickHouse } from '../../engine/clickhouse/clickhouse-access.ts';
import {
  applyMigrations,
  migrationStatus,
  readMigrations,
  type MigrationStatus,
} from '../../engine/clickhouse/migrations.ts';
import { SluiceError } from '../../engine/error.ts';
import { packageFile } from '../../engine/package-file.ts';
import { configFile, loadClusterSettings, type ConfigOption } from '../load-cluster-settings.ts';

interface MigrateOptions extends ConfigOption {
  readonly clickhouse?: string;
  readonly status?: true;
}

/** `sluice migrate`: makes the tables and views of a ClickHouse that others run. The embedded one gets them by itself. */
export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('make the tables and views in ClickHouse that are not there yet; as often as you like')
    .option('--clickhouse <url>', 'http(s)://user@host:8123/database, in the place of SLUICE_CLICKHOUSE_URL')
    .option('--status', 'change nothing: say which migrations are there, and which are not')
    .option(...configFile)
    .action(migrate);
}

async function migrate({ clickhouse, status, ...config }: MigrateOptions): Promise<void> {
  const given = clickhouse === undefined ? {} : { SLUICE_CLICKHOUSE_URL: clickhouse };
  const { clickHouse: address } = await loadClusterSettings(config, { ...process.env, ...given });
  if (address === null) {
    throw new SluiceError(
      'SETTINGS_INVALID',
      'nothing says which ClickHouse is to be migrated: use --clickhouse, or set SLUICE_CLICKHOUSE_URL. The embedded one needs no migrating by hand',
    );
  }
  const migrations = await readMigrations(pathToFileURL(`${packageFile('schemas/clickhouse')}/`));
  await using clickHouse = new ClusterClickHouse(address);
  const version = await checkClickHouseVersion(clickHouse);
  const client = await clickHouse.client();
  const where = `ClickHouse ${version}, database ${address.database ?? 'default'}`;
  if (status === true) {
    process.stdout.write(`${where}\n${(await migrationStatus(client, migrations)).map(lineOf).join('')}`);
    return;
  }
  const applied = await applyMigrations(client, migrations);
  const done = applied.map((name) => `  ${pc.green('applied')} ${name}\n`).join('');
  process.stdout.write(`${where}\n${done === '' ? `  nothing to do: all ${migrations.length} are there\n` : done}`);
}

function lineOf({ version, name, state, appliedAt }: MigrationStatus): string {
  const words = {
    applied: `applied ${appliedAt ?? ''} UTC`,
    pending: pc.yellow('pending'),
    changed: pc.red(`applied ${appliedAt ?? ''} UTC, with another text`),
    unknown: pc.red(`applied ${appliedAt ?? ''} UTC, by a newer Sluice`),
  };
  return `  ${String(version).padStart(4, '0')} ${name.padEnd(24)} ${words[state]}\n`;
}
