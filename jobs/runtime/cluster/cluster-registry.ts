import { openSchemaRegistry } from '../../../engine/serde/open-schema-registry.ts';
import type { SchemaRegistry } from '../../../engine/serde/schema-registry.ts';
import type { Clock } from '../../../engine/time/clock.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import { settingMissing } from './needed-services.ts';

/**
 * The schema registry of the cluster profile. Where none was named, one that refuses the first question: only jobs with a format that needs it ask.
 *
 * @throws {SluiceError} by rejection of its calls `SETTING_MISSING` where the settings name no registry.
 */
export function clusterRegistry({ schemaRegistry }: ClusterSettings, clock: Clock): SchemaRegistry {
  if (schemaRegistry !== null) {
    const { url, credentials } = schemaRegistry;
    return openSchemaRegistry({ kind: 'http', url, ...(credentials === null ? {} : { credentials }) }, clock);
  }
  const refuse = (): Promise<never> =>
    Promise.reject(
      settingMissing(
        'where the schema registry is, since the job has a topic in Avro (SLUICE_SCHEMA_REGISTRY_URL=http://host:8081, or schemaRegistry.url in the file)',
      ),
    );
  return { name: 'no schema registry', schemaById: refuse, register: refuse };
}
