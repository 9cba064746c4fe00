import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../engine/error.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { freePort } from './free-port.ts';
import { end, isRunning } from './launched-process.ts';
import {
  readRegistry,
  serviceNames,
  writeRegistry,
  type RegisteredService,
  type Registry,
  type ServiceName,
} from './service-registry.ts';
import { clickHouseAnswers, startClickHouse } from './start-clickhouse.ts';
import { kafkaAnswers, startKafka } from './start-kafka.ts';
import { redisAnswers, startRedis } from './start-redis.ts';

/**
 * `npm run services -- up|down|status`: real Kafka, real Redis and the embedded ClickHouse behind its HTTP port, as processes, where there is
 * no Docker engine. They outlive the command; their data, logs and process ids are in `.sluice/services` (or `SLUICE_SERVICES_DIR`), and `down` ends those and no others.
 *
 * Ports: `SLUICE_KAFKA_PORT`, `SLUICE_REDIS_PORT` and `SLUICE_CLICKHOUSE_PORT`; else those of the last time; else 9092, 6379 and 8123 where they are free, and free ones where
 * they are not. `status` prints them, and `services.json` in that folder has them for programs.
 */

const usage = 'usage: npm run services -- up|down|status\n';
const dir = resolve(
  process.env['SLUICE_SERVICES_DIR'] ?? fileURLToPath(new URL('../../.sluice/services', import.meta.url)),
);
const stopPatienceMs = 30_000;

interface Service {
  readonly title: string;
  readonly usualPort: number;
  readonly start: (port: number) => Promise<RegisteredService>;
  readonly answers: (port: number) => Promise<boolean>;
}

const services: Readonly<Record<ServiceName, Service>> = {
  kafka: {
    title: 'Kafka',
    usualPort: 9092,
    start: (port) => startKafka({ dir: resolve(dir, 'kafka'), port, jvm: 'steady', lifetime: 'own' }),
    answers: kafkaAnswers,
  },
  redis: {
    title: 'Redis',
    usualPort: 6379,
    start: (port) => startRedis({ dir: resolve(dir, 'redis'), port, lifetime: 'own' }),
    answers: redisAnswers,
  },
  clickhouse: {
    title: 'ClickHouse',
    usualPort: 8123,
    start: (port) => startClickHouse({ dir: resolve(dir, 'clickhouse'), port, lifetime: 'own' }),
    answers: clickHouseAnswers,
  },
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function address(port: number): string {
  return `127.0.0.1:${port}`;
}

async function portFor(name: ServiceName, registry: Registry): Promise<number> {
  const asked = Number(process.env[`SLUICE_${name.toUpperCase()}_PORT`] ?? 0);
  return asked !== 0 ? asked : freePort(registry[name]?.port ?? services[name].usualPort);
}

async function up(): Promise<void> {
  for (const name of serviceNames) {
    const registry = readRegistry(dir);
    const former = registry[name];
    const { title, start } = services[name];
    if (former !== undefined && isRunning(former.process)) {
      say(`${title} is up at ${address(former.port)}`);
      continue;
    }
    const startedMs = systemClock.monotonicMs();
    const { port, process: process_, logFile } = await start(await portFor(name, registry));
    writeRegistry(dir, { ...registry, [name]: { port, process: process_, logFile } });
    say(`${title} started at ${address(port)} in ${((systemClock.monotonicMs() - startedMs) / 1000).toFixed(1)} s`);
  }
}

/** In the opposite order of their start. */
async function down(): Promise<void> {
  const registry = readRegistry(dir);
  for (const name of serviceNames.toReversed()) {
    const service = registry[name];
    const { title } = services[name];
    if (service === undefined || !isRunning(service.process)) {
      say(`${title} was not running`);
      continue;
    }
    await end(service.process, stopPatienceMs);
    say(`${title} ended`);
  }
}

async function status(): Promise<void> {
  const registry = readRegistry(dir);
  for (const name of serviceNames) {
    const service = registry[name];
    const { title, answers } = services[name];
    if (service === undefined || !isRunning(service.process)) {
      say(`${title.padEnd(10)} down`);
      process.exitCode = 1;
      continue;
    }
    const isAnswering = await answers(service.port);
    if (!isAnswering) process.exitCode = 1;
    const words = isAnswering ? 'up' : 'running, but does not answer';
    say(
      `${title.padEnd(10)} ${words} at ${address(service.port)}, process ${service.process.pid}, log ${service.logFile}`,
    );
  }
}

const commands: Readonly<Record<string, () => Promise<void>>> = { up, down, status };
const [command = ''] = process.argv.slice(2);
const run = commands[command];
if (run === undefined) {
  process.stderr.write(usage);
  process.exitCode = 2;
} else {
  try {
    await run();
  } catch (error) {
    process.stderr.write(`services: ${messageOf(error)}\n`);
    process.exitCode = 1;
  }
}
