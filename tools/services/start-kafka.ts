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
  end,
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
/** Well beyond the session time-out of the controller that fences a dead broker. */
const fencedWithinMs = 5_000;

const jvmArgs = {
  quick: ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xms128m', '-Xmx512m'],
  steady: ['-XX:+UseG1GC', '-Xms512m', '-Xmx1g'],
};

/** How to start a broker. Only `dir` must be given: its log and topics live there, and a second start on it goes on with them. */
export interface KafkaOptions {
  readonly dir: string;
  /** The clients' port; a free one where absent. A restart for clients that are still connected needs the former one. */
  readonly port?: number;
  /**
   * The port of a proxy, where clients are to come through one: they are told this port, while the broker itself, and programs that take
   * `directPort`, go straight.
   */
  readonly proxied?: { readonly advertisedPort: number; readonly directPort?: number };
  /** Further lines of server.properties, which win over ours. */
  readonly settings?: Readonly<Record<string, string>>;
  /** A user who logs in by SCRAM, by either of its mechanisms: known to a new broker from its first start on. */
  readonly scramUser?: ScramUser;
  /** `quick` (the default) compiles little and is up soonest; `steady` is for measuring and for long runs. */
  readonly jvm?: 'quick' | 'steady';
  readonly lifetime?: Lifetime;
}

/** Whom a broker knows by name. */
export interface ScramUser {
  readonly name: string;
  readonly password: string;
}

/** A running broker. */
export interface KafkaService extends RunningService {
  /** `127.0.0.1:port`, for `bootstrap.servers`. */
  readonly bootstrap: string;
  readonly port: number;
  /** The port past the proxy; the same one where there is none. */
  readonly directPort: number;
}

/**
 * A single broker that is its own controller. Internal topics have few partitions and one replica, and groups do not wait for more members.
 * The controller never takes the broker for dead while it lives: a partition without a leader loses the commit markers that are on
 * their way to it (see {@link fenceFormerSelf}), and a loaded machine or a pause would otherwise be enough. Nothing is deleted for its age:
 * a message is as old as its event time says, and tests' and recordings' are years old.
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
    'broker.session.timeout.ms': '3600000',
    'log.retention.ms': '-1',
    'num.network.threads': '2',
    'num.io.threads': '4',
    'log.cleaner.dedupe.buffer.size': '16777216',
    ...settings,
  };
  return Object.entries(properties)
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');
}

/** The lines by which the broker has a second port of its own beside the one that a proxy leads to. */
function proxiedListeners(
  port: number,
  directPort: number,
  controllerPort: number,
  advertisedPort: number,
): Readonly<Record<string, string>> {
  return {
    listeners: `PLAINTEXT://127.0.0.1:${port},DIRECT://127.0.0.1:${directPort},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort},DIRECT://127.0.0.1:${directPort}`,
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'inter.broker.listener.name': 'DIRECT',
  };
}

/** Writes what makes an empty folder a broker's, to `data` in it. */
async function formatStorage(java: string, jars: string, dir: string, further: readonly string[]): Promise<void> {
  const file = join(dir, 'server.properties');
  writeFileSync(file, serverProperties(dir, 9092, 9093, {}));
  const format = ['kafka.tools.StorageTool', 'format', '--cluster-id', 'sluice-services-aaaaaa', '--config', file];
  await execute(java, ['-XX:TieredStopAtLevel=1', '-cp', join(jars, '*'), ...format, ...further]);
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
    await formatStorage(java, jars, work, []);
    if (!existsSync(dir)) renameSync(join(work, 'data'), dir);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return dir;
}

/** Makes an empty folder a broker's. What the broker knows of a user by SCRAM is written with it, and so is no copy. */
async function layOut(java: string, jars: string, dir: string, user: ScramUser | undefined): Promise<void> {
  if (user === undefined) {
    cpSync(await formattedStorage(java, jars), join(dir, 'data'), { recursive: true });
    return;
  }
  const credentials = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name=${user.name},password=${user.password}]`,
  ]);
  await formatStorage(java, jars, dir, credentials);
}

/** Whether the broker of this folder was killed: one that ended in order leaves a sign in it, which the next start removes. */
function wasKilled(dir: string): boolean {
  const data = join(dir, 'data');
  return existsSync(join(data, '__cluster_metadata-0')) && !existsSync(join(data, '.kafka_cleanshutdown'));
}

/**
 * Lets the controller alone see that a broker that was killed is dead, before that broker comes back.
 *
 * A broker that starts as its own controller otherwise believes at first that it still leads its partitions; its transaction coordinator
 * takes up the transactions whose commit was decided and not yet marked in their partitions; then the controller takes the former broker for dead,
 * the partitions have no leader for a moment, and the coordinator drops the markers ("these partitions are likely deleted already and hence can
 * be skipped"). Such a transaction is committed, positions and all, and its records are never seen. Kafka 4.3.1 did so in 8 of 12 trials; a
 * cluster whose partitions have several replicas has a leader at every moment, and does not.
 */
async function fenceFormerSelf(java: string, classPath: string, dir: string, logFile: string): Promise<void> {
  const logStart = sizeOf(logFile);
  const file = join(dir, 'controller.properties');
  const controllerPort = await freePort();
  const alone = {
    'process.roles': 'controller',
    listeners: `CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `CONTROLLER://127.0.0.1:${controllerPort}`,
    'broker.session.timeout.ms': '1000',
    'broker.heartbeat.interval.ms': '500',
  };
  writeFileSync(file, serverProperties(dir, 0, controllerPort, alone));
  const process_ = await launch({
    program: java,
    args: [...jvmArgs.quick, `-Dlog4j2.configurationFile=file:${logSettings}`, '-cp', classPath, 'kafka.Kafka', file],
    logFile,
    lifetime: 'caller',
  });
  // What it says before it is active are the changes of the past, read back.
  const saidWhileActive = (): string | undefined =>
    wordsSince(logFile, logStart).split('Becoming the active controller')[1];
  await waitUntil(() => !isRunning(process_) || saidWhileActive() !== undefined, startTimeoutMs);
  // Nothing is said where it was fenced before: it died as it started.
  const isFenced = (): boolean => /brokerId=1,[^)]*fenced=1/.test(saidWhileActive() ?? '');
  await waitUntil(() => !isRunning(process_) || isFenced(), fencedWithinMs);
  await end(process_, stopPatienceMs);
}

/** ApiVersions, version 0: a size, then key 18, the version, a correlation id, and no client name. */
const apiVersionsRequest = Uint8Array.of(0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 255, 255);

/** Whether a broker answers on the port: it opens it to clients once it has joined its controller. */
export async function kafkaAnswers(port: number): Promise<boolean> {
  const answer = await exchange(port, apiVersionsRequest, 2_000);
  return answer !== null && answer.length >= 10 && answer.readInt32BE(4) === 7;
}

/**
 * Starts Apache Kafka and resolves once it answers clients. What it says goes to `kafka.log` in `dir`.
 *
 * @throws {SluiceError} `JAVA_MISSING`, `KAFKA_JARS_MISSING`, or `SERVICE_NOT_STARTED` with the broker's last words.
 */
export async function startKafka(options: KafkaOptions): Promise<KafkaService> {
  const dir = resolve(options.dir);
  const java = await javaProgram();
  const jars = await kafkaJars();
  mkdirSync(dir, { recursive: true });
  if (!existsSync(join(dir, 'data', 'meta.properties'))) await layOut(java, jars, dir, options.scramUser);

  const logFile = join(dir, 'kafka.log');
  const properties = join(dir, 'server.properties');
  if (wasKilled(dir)) await fenceFormerSelf(java, join(jars, '*'), dir, logFile);
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    const { proxied } = options;
    const directPort = proxied === undefined ? port : (proxied.directPort ?? (await freePort()));
    const controllerPort = await freePort();
    const settings = {
      ...(proxied === undefined ? {} : proxiedListeners(port, directPort, controllerPort, proxied.advertisedPort)),
      ...options.settings,
    };
    const logStart = sizeOf(logFile);
    writeFileSync(properties, serverProperties(dir, port, controllerPort, settings));
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
      return { bootstrap: `127.0.0.1:${port}`, port, directPort, ...runningService(process_, logFile, stopPatienceMs) };
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
