import { readFileSync } from 'node:fs';
import type { ClickHouseAddress, ClickHouseTls } from '../../../engine/clickhouse/create-clickhouse.ts';
import { messageOf } from '../../../engine/error.ts';
import type { Diagnostic } from '../../../engine/plan/diagnostic.ts';
import type { SourceTexts } from '../../../engine/plan/render-diagnostics.ts';
import type { KafkaSettings, KafkaTls } from '../../../engine/source/kafka/kafka-settings.ts';
import type { RedisSettings, RedisTls } from '../../../engine/state/redis/redis-settings.ts';
import { environmentSettings, type Environment } from './environment-settings.ts';
import { readRedisUrl, readServerUrl } from './service-url.ts';
import { readSettingsFile } from './settings-file.ts';
import type { ClickHousePart, KafkaPart, LoginPart, RedisPart, ServerPart, TlsPart } from './settings-parts.ts';

/** Where the services of the cluster profile are, and who we are to them; `null` for those that nothing was said of. */
export interface ClusterSettings {
  readonly kafka: ClusterKafka | null;
  readonly redis: RedisSettings | null;
  readonly clickHouse: ClickHouseAddress | null;
  readonly schemaRegistry: RegistryAddress | null;
  /** How much of its keys' state each task holds in memory, in bytes; what is colder is read from Redis when it comes. */
  readonly workingSetBytes: number;
}

/** What a task holds where nothing is said: some 200,000 cards with a kilobyte of records each. */
const defaultWorkingSetBytes = 268_435_456;

/** How to reach Kafka, and what this profile asks of it. */
export interface ClusterKafka {
  readonly client: KafkaSettings;
  /** Of topics that are made; `null` leaves it to the broker. */
  readonly replicas: number | null;
  /** `null` for the group's default. */
  readonly sessionTimeoutMs: number | null;
}

/** How to reach a schema registry. */
export interface RegistryAddress {
  readonly url: string;
  readonly credentials: { readonly username: string; readonly password: string } | null;
}

/** The settings, or all that is wrong with them. Nothing in it holds a secret but the settings themselves. */
export type SettingsOutcome =
  | { readonly ok: true; readonly settings: ClusterSettings }
  | {
      readonly ok: false;
      /** What is wrong in the file, in reading order. */
      readonly diagnostics: readonly Diagnostic[];
      readonly sources: SourceTexts;
      /** What is wrong in the environment, or in both together: a sentence each. */
      readonly problems: readonly string[];
    };

/**
 * Reads the settings of the cluster profile: a YAML file, where one is named, and over it the environment, variable by variable. Called once by each command that talks
 * to services, before it connects.
 *
 * Passwords stand in files of their own, or in the environment; a settings file that holds one is refused.
 *
 * @param file the settings file's path; `null` for the environment alone.
 */
export async function readClusterSettings(file: string | null, environment: Environment): Promise<SettingsOutcome> {
  const { parts: fromFile, diagnostics, shown } = await readOptionalFile(file);
  const { parts: given, problems: environmentProblems } = environmentSettings(environment);
  const problems = [...environmentProblems];
  const settings: ClusterSettings = {
    kafka: kafkaOf(merged(fromFile.kafka, given.kafka), problems),
    redis: redisOf(merged(fromFile.redis, given.redis), problems),
    clickHouse: clickHouseOf(merged(fromFile.clickhouse, given.clickhouse), problems),
    schemaRegistry: registryOf(merged(fromFile.schemaRegistry, given.schemaRegistry), problems),
    workingSetBytes: given.state?.workingSetBytes ?? fromFile.state?.workingSetBytes ?? defaultWorkingSetBytes,
  };
  if (diagnostics.length === 0 && problems.length === 0) return { ok: true, settings };
  return { ok: false, diagnostics, sources: new Map(file === null ? [] : [[file, shown]]), problems };
}

async function readOptionalFile(file: string | null): ReturnType<typeof readSettingsFile> {
  return file === null ? { parts: {}, diagnostics: [], shown: '' } : readSettingsFile(file);
}

/** What the environment says wins; a password of its own wins over both ways of the file's. */
function merged<Part extends LoginPart>(file: Part | undefined, environment: Part | undefined): Part | null {
  if (file === undefined || environment === undefined) return environment ?? file ?? null;
  const said = Object.entries(environment).filter(([, value]) => value !== undefined);
  const base = environment.password === undefined ? file : { ...file, passwordFile: undefined };
  return { ...base, ...Object.fromEntries(said) };
}

function kafkaOf(part: KafkaPart | null, problems: string[]): ClusterKafka | null {
  if (part === null) return null;
  const { brokers, clientId = 'sluice', mechanism, user, password, passwordFile, tls, replicas, sessionTimeout } = part;
  if (brokers === undefined) {
    problems.push('Kafka is to be used, and nothing says where it is: set SLUICE_KAFKA_BROKERS, or kafka.brokers');
    return null;
  }
  if (mechanism !== undefined && (user === undefined || (password ?? passwordFile) === undefined)) {
    problems.push(
      `Kafka's SASL mechanism ${mechanism} needs a user and a password: set SLUICE_KAFKA_USER and SLUICE_KAFKA_PASSWORD_FILE, or kafka.user and kafka.passwordFile`,
    );
  }
  const username = user ?? null;
  const client: KafkaSettings = {
    brokers,
    clientId,
    ...(tls === undefined ? {} : { tls: kafkaTls(tls) }),
    ...(username === null
      ? {}
      : { sasl: { mechanism: mechanism ?? 'PLAIN', username, ...present({ password, passwordFile }) } }),
  };
  return { client, replicas: replicas ?? null, sessionTimeoutMs: sessionTimeout ?? null };
}

function kafkaTls({ ca, cert, key, keyPasswordFile }: TlsPart): KafkaTls {
  return present({ caFile: ca, certFile: cert, keyFile: key, keyPasswordFile });
}

function redisOf(part: RedisPart | null, problems: string[]): RedisSettings | null {
  if (part === null) return null;
  const { url, user, password, passwordFile, tls, commandTimeout } = part;
  if (url === undefined) {
    problems.push('Redis is to be used, and nothing says where it is: set SLUICE_REDIS_URL, or redis.url');
    return null;
  }
  const address = readRedisUrl(url);
  if (address === null) return null;
  const { topology, isEncrypted, database } = address;
  if (tls !== undefined && !isEncrypted) {
    problems.push("Redis's TLS files are of use only with an address that begins with rediss");
  }
  const tlsFiles: RedisTls = present({
    caFile: tls?.ca,
    certFile: tls?.cert,
    keyFile: tls?.key,
    serverName: tls?.serverName,
  });
  return {
    topology,
    ...present({
      username: user ?? address.user ?? undefined,
      // A file that is named wins over a password, so the address's own is left out where there is one.
      password: password ?? (passwordFile === undefined ? (address.password ?? undefined) : undefined),
      passwordFile,
      database: database ?? undefined,
      commandTimeoutMs: commandTimeout,
    }),
    ...(isEncrypted ? { tls: tlsFiles } : {}),
  };
}

function clickHouseOf(part: ClickHousePart | null, problems: string[]): ClickHouseAddress | null {
  const server = serverOf(part, 'ClickHouse', 'SLUICE_CLICKHOUSE_URL, or clickhouse.url', problems);
  if (server === null) return null;
  const { origin, path, user, password } = server;
  const tls = clickHouseTls(part?.tls, origin, problems);
  return { url: origin, ...present({ username: user, password, database: path === '' ? undefined : path, tls }) };
}

function clickHouseTls(tls: TlsPart | undefined, origin: string, problems: string[]): ClickHouseTls | undefined {
  if (tls === undefined) return undefined;
  const { ca, cert, key } = tls;
  if (!origin.startsWith('https:')) {
    problems.push("ClickHouse's TLS files are of use only with an address that begins with https");
    return undefined;
  }
  if (ca === undefined || (cert === undefined) !== (key === undefined)) {
    problems.push(
      "ClickHouse's TLS files must be its certificate authority's, alone or with a certificate and its key: set SLUICE_CLICKHOUSE_TLS_CA_FILE, or clickhouse.tls.ca",
    );
    return undefined;
  }
  return { caFile: ca, ...present({ certFile: cert, keyFile: key }) };
}

function registryOf(part: ServerPart | null, problems: string[]): RegistryAddress | null {
  const words = 'SLUICE_SCHEMA_REGISTRY_URL, or schemaRegistry.url';
  const server = serverOf(part, 'The schema registry', words, problems);
  if (server === null) return null;
  const { origin, path, user, password } = server;
  const credentials = user === undefined ? null : { username: user, password: password ?? '' };
  return { url: path === '' ? origin : `${origin}/${path}`, credentials };
}

interface Server {
  readonly origin: string;
  readonly path: string;
  readonly user: string | undefined;
  readonly password: string | undefined;
}

function serverOf(part: ServerPart | null, who: string, where: string, problems: string[]): Server | null {
  if (part === null) return null;
  if (part.url === undefined) {
    problems.push(`${who} is to be used, and nothing says where it is: set ${where}`);
    return null;
  }
  const address = readServerUrl(part.url);
  if (address === null) return null;
  const password = part.password ?? readSecret(part.passwordFile, problems) ?? address.password ?? undefined;
  return { origin: address.origin, path: address.path, user: part.user ?? address.user ?? undefined, password };
}

function readSecret(file: string | undefined, problems: string[]): string | undefined {
  if (file === undefined) return undefined;
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    problems.push(`the password's file cannot be read: ${messageOf(error)}`);
    return undefined;
  }
}

type Present<Values> = { [Key in keyof Values]?: Exclude<Values[Key], undefined> };

/** The values that are there. */
function present<Values extends object>(values: Values): Present<Values> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<Values>;
}
