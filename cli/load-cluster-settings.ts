import { SluiceError } from '../engine/error.ts';
import { renderDiagnostics } from '../engine/plan/render-diagnostics.ts';
import { readClusterSettings, type ClusterSettings } from '../jobs/runtime/cluster/cluster-settings.ts';
import type { Environment } from '../jobs/runtime/cluster/environment-settings.ts';

/** Where the settings of the services are, besides the environment. */
export interface ConfigOption {
  readonly config?: string;
}

/** The option `--config`, the same for every command that has it. */
export const configFile: [flags: string, description: string] = [
  '--config <file>',
  'a YAML file that says where Kafka, Redis, ClickHouse and the schema registry are; the environment (SLUICE_…) wins over it',
];

/**
 * Reads the settings of the cluster profile for a command that needs them: prints every problem in them, none of it a secret, and ends the command.
 *
 * @param environment the process's, unless an option of the command stands in for a variable.
 * @throws {SluiceError} `SETTINGS_INVALID` with the number of problems, after they were printed.
 */
export async function loadClusterSettings(
  { config }: ConfigOption,
  environment: Environment = process.env,
): Promise<ClusterSettings> {
  const outcome = await readClusterSettings(config ?? null, environment);
  if (outcome.ok) return outcome.settings;
  const { diagnostics, sources, problems } = outcome;
  if (diagnostics.length > 0) process.stderr.write(renderDiagnostics(diagnostics, sources));
  for (const problem of problems) process.stderr.write(`error SETTING_WRONG: ${problem}\n`);
  const count = diagnostics.length + problems.length;
  throw new SluiceError(
    'SETTINGS_INVALID',
    `the settings must be sound before anything connects; they have ${count} problem${count === 1 ? '' : 's'}`,
  );
}
