import { SluiceError } from '../../../engine/error.ts';
import type { RedisSettings } from '../../../engine/state/redis/redis-settings.ts';
import type { ClusterKafka, ClusterSettings } from './cluster-settings.ts';

/** What no job on a cluster can do without. */
export interface NeededServices {
  readonly kafka: ClusterKafka;
  readonly redis: RedisSettings;
}

/** The services that every job needs. @throws {SluiceError} `SETTING_MISSING`, naming what nothing was said of. */
export function neededServices({ kafka, redis }: ClusterSettings): NeededServices {
  if (kafka !== null && redis !== null) return { kafka, redis };
  const missing = [
    ...(kafka === null ? ['where Kafka is (SLUICE_KAFKA_BROKERS=host:port, or kafka.brokers in the file)'] : []),
    ...(redis === null ? ['where Redis is (SLUICE_REDIS_URL=redis://host:port, or redis.url in the file)'] : []),
  ];
  throw settingMissing(missing.join(' and '));
}

/** `SETTING_MISSING`. */
export function settingMissing(what: string): SluiceError {
  return new SluiceError('SETTING_MISSING', `the cluster profile must be told ${what}; nothing says it`);
}
