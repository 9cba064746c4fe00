import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SluiceError } from '../../engine/error.ts';
import { freePort } from './free-port.ts';
import { javaProgram } from './java.ts';
import { kafkaJars } from './kafka-jars.ts';
import {
  isRunning,
  kill,
  launch,
  runningService,
  sizeOf,
  waitUntil,
  wordsSince,
  type Lifetime,
  type RunningService,
} from './launched-process.ts';
import { exchange } from './probe.ts';

const execute = promisify(execFile);
const logSettings = fileURLToPath(new URL('kafka/log4j2.properties', import.meta.url));
const startTimeoutMs = 120_000;
const stopPatienceMs = 30_000;
const attempts = 5;

/** How to start a broker. Only `dir` must be given: its log and topics live there, and a second start on it goes on with them. */
export interface KafkaOptions {
  readonly dir: string;
  /** The clients' port; a free one where absent. A restart for clients that are still connected needs the former one. */
  readonly port?: number;
  /** Further lines of server.properties, which win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** `quick` (the default) compiles little and is up soonest; `steady` is for measuring and for long runs. */
  readonly jvm?: 'quick' | 'steady';
  readonly lifetime?: Lifetime;
}

/** A running broker. */
export interface KafkaService extends RunningService {
  /** `127.0.0.1:port`, for `bootstrap.servers`. */
  readonly bootstrap: string;
  readonly port: number;
}

/**
 * A single broker that is its own controller. Internal topics have few partitions and one replica, groups do not wait for more members, and
 * a broker that was killed may come back after 2 s (its own controller holds its former self to be alive for so long; 9 s by default).
 */
function serverProperties(
  dir: string,
  port: number,
  controllerPort: number,
  settings: Readonly<Record<string, string>>,
): string {
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'inter.broker.listener.name': 'PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(dir, 'data'),
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'transaction.state.log.num.partitions': '4',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.cleaner.dedupe.buffer.size': '16777216',
    ...settings,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/**
 * The two files that make an empty folder a broker's. Kafka's tool that writes them takes seconds and writes the same for the same node and
 * version, so it runs once, and every new broker gets a copy.
 */
async function formattedStorage(java: string, jars: string): Promise<string> {
  const dir = `${jars}-formatted`;
  if (existsSync(dir)) return dir;
  const work = mkdtempSync(`${dir}-`);
  try {
    const file = join(work, 'server.properties');
    writeFileSync(file, serverProperties(work, 9092, 9093, {}));
    const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', 'sluice-services-aaaaaa', '--config', file];
    await execute(java, ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), ...format]);
    if (!existsSync(dir)) renameSync(join(work, 'data'), dir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return dir;
}

/** ApiVersions, version 0: a size, then key 18, the version, a correlation id, and no client name. */
const apiVersionsRequest = Uint8Array.of(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255);

/** Whether a broker answers on the port: it opens it to clients once it has joined its controller. */
export async function kafkaAnswers(port: number): Promise<boolean> {
  const answer = await exchange(port, apiVersionsRequest, 2_000);
  return answer !== null && answer.length >= 10 && answer.readInt32BE(4) === 7;
}

const jvmArgs = {
  quick: ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xms128m', '-Xmx512m'],
  steady: ['-XX:+UseG1GC', '-Xms512m', '-Xmx1g'],
};

/**
 * Starts Apache Kafka and resolves once it answers clients. What it says goes to `kafka.log` in `dir`.
 *
 * @throws {SluiceError} `JAVA_MISSING`, `KAFKA_JARS_MISSING`, or `SERVICE_NOT_STARTED` with the broker's last words.
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaService> {
  const dir = resolve(options.dir);
  const java = await javaProgram();
  const jars = await kafkaJars();
  const storage = await formattedStorage(java, jars);
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(dir, 'data', 'meta.properties'))) cpSync(storage, join(dir, 'data'), { recursive: true });

  const logFile = join(dir, 'kafka.log');
  const properties = join(dir, 'server.properties');
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const logStart = sizeOf(logFile);
    writeFileSync(properties, serverProperties(dir, port, await freePort(), options.settings ?? {}));
    const process_ = await launch({
      program: java,
      args: [
        ...jvmArgs[options.jvm ?? 'quick'],
        '-Djava.awt.headless=true',
        `-Dlog4j2.configurationFile=file:${logSettings}`,
        '-cp',
        join(jars, '*'),
        'kafka.Kafka',
        properties,
      ],
      logFile,
      lifetime: options.lifetime ?? 'caller',
    });
    // Its own word, since what answers on the port may be another broker that was faster to bind it.
    const isUp = (): boolean => !isRunning(process_) || wordsSince(logFile, logStart).includes('Kafka Server started');
    const isInTime = await waitUntil(isUp, startTimeoutMs);
    if (isInTime && isRunning(process_))
      return { bootstrap: `127.0.0.1:${port}`, port, ...runningService(process_, logFile, stopPatienceMs) };
    await kill(process_);
    const words = wordsSince(logFile, logStart).trim().split('\n').slice(-20).join('\n');
    // Somebody else took a port between our looking and the broker's binding it.
    if (/already in use|BindException/.test(words) && options.port === undefined && attempt < attempts) continue;
    throw new SluiceError(
      'SERVICE_NOT_STARTED',
      `could not start Kafka on port ${port}: ${isInTime ? 'it ended' : `no answer within ${startTimeoutMs / 1000} s`}; see ${logFile}, which ends:\n${words}`,
      { fields: { service: 'kafka', port } },
    );
  }
}
