import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A service that some tests need and that a machine may not have. ClickHouse is not among them: it is always there, embedded. */
export type TestService = 'kafka' | 'redis';

/** A service that cannot be used here, and why, as the end of a sentence. */
export interface MissingService {
  readonly service: TestService;
  readonly reason: string;
}

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Where the Kafka client's native binding lies once it was built or downloaded. */
const kafkaBinding = fileURLToPath(
  new URL(
    '../../node_modules/@confluentinc/kafka-javascript/build/Release/confluent-kafka-javascript.node',
    import.meta.url,
  ),
);

/** Whether the broker's jars were fetched into this checkout: tools/services/kafka-jars.ts keeps them in a folder named for their version. */
function hasKafkaJars(): boolean {
  const cache = fileURLToPath(new URL('../../.sluice/cache', import.meta.url));
  return existsSync(cache) && readdirSync(cache).some((name) => /^kafka-\d+(\.\d+)*$/.test(name));
}

/**
 * Which services the tests cannot have on this machine. Read by vitest.config.ts, which leaves their files out, and by the
 * announcement at the start of a run; looks at files only and takes under a millisecond.
 */
export function missingServices(): readonly MissingService[] {
  const missing: MissingService[] = [];
  if (!existsSync(kafkaBinding)) {
    missing.push({ service: 'kafka', reason: "the Kafka client's native binding is not built" });
  } else if (!isOnPath('java') && process.env['JAVA_HOME'] === undefined) {
    missing.push({ service: 'kafka', reason: 'there is no java on PATH to run the broker' });
  } else if (!hasKafkaJars()) {
    missing.push({ service: 'kafka', reason: "the broker's jars are not fetched" });
  }
  if (!isOnPath('redis-server')) missing.push({ service: 'redis', reason: 'there is no redis-server on PATH' });
  return missing;
}

/** The files, as globs, that cannot run without a service: `topic.kafka.test.ts`, `failover.kafka.redis.test.ts`. */
export function testsThatNeed(service: TestService): readonly string[] {
  return [`**/*.${service}.test.ts`, `**/*.${service}.*.test.ts`];
}
