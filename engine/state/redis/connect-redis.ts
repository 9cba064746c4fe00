import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { Cluster, Redis } from 'ioredis';
import { SluiceError, messageOf } from '../../error.ts';
import type { RedisSettings, RedisTls } from './redis-settings.ts';

/** A connection, or one to each server of a cluster; both take the same commands. */
export type RedisClient = Redis | Cluster;

/** Told of every trouble of a connection, for a metric and a log line; the commands that it concerns fail on their own. */
export type RedisTroubleListener = (error: Error) => void;

const defaultCommandTimeoutMs = 10_000;
const connectTimeoutMs = 10_000;
/** A connection that has brought nothing for so long after a command timed out is given up. */
const deafAfterMs = 1_000;
const longestReconnectDelayMs = 2_000;

function readSecret(file: string, what: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new SluiceError('SECRET_UNREADABLE', `could not read ${what} from ${file}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function tlsOptions(tls: RedisTls): ConnectionOptions {
  return {
    ...(tls.caFile === undefined ? {} : { ca: readSecret(tls.caFile, "Redis's CA certificate") }),
    ...(tls.certFile === undefined ? {} : { cert: readSecret(tls.certFile, "Redis's client certificate") }),
    ...(tls.keyFile === undefined ? {} : { key: readSecret(tls.keyFile, "Redis's client key") }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  };
}

const reconnectDelayMs = (times: number): number => Math.min(50 * 2 ** Math.min(times, 10), longestReconnectDelayMs);

/** What each server's connection is opened with, whatever the topology. */
function serverOptions(settings: RedisSettings) {
  const password =
    settings.passwordFile === undefined
      ? settings.password
      : readSecret(settings.passwordFile, "Redis's password").replace(/\r?\n$/, '');
  const commandTimeout = settings.commandTimeoutMs ?? defaultCommandTimeoutMs;
  return {
    protocol: 2 as const,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout,
    // A command that timed out stays in the connection's queue, with its bytes, for as long as the connection lives: one that brings no answer at all is closed, or
    // what is tried again and again against a server that stands still would pile up.
    socketTimeout: commandTimeout + deafAfterMs,
    connectTimeout: connectTimeoutMs,
    // After a failover the connection leads to a server that is a replica now: connect anew, without sending the command again.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
    ...(settings.username === undefined ? {} : { username: settings.username }),
    ...(password === undefined ? {} : { password }),
    ...(settings.tls === undefined ? {} : { tls: tlsOptions(settings.tls) }),
  };
}

/**
 * Opens the connections. Nothing is waited for: the first command is.
 *
 * A command whose connection breaks is never sent again by the client, which cannot know whether it was applied: it fails, and whoever sent
 * it decides. (ioredis re-sends by default; `autoResendUnfulfilledCommands: false` alone leaves promises that never settle, and
 * `maxRetriesPerRequest: 0` settles them.)
 *
 * @throws {SluiceError} `SECRET_UNREADABLE` when the password's or a certificate's file cannot be read.
 */
export function connectRedis(settings: RedisSettings, onTrouble: RedisTroubleListener): RedisClient {
  const client = clientOf(settings, serverOptions(settings));
  client.on('error', onTrouble);
  return client;
}

function clientOf({ topology, database, tls }: RedisSettings, common: ReturnType<typeof serverOptions>): RedisClient {
  const db = database ?? 0;
  switch (topology.kind) {
    case 'single':
      return new Redis({ ...common, retryStrategy: reconnectDelayMs, host: topology.host, port: topology.port, db });
    case 'sentinel':
      return new Redis({
        ...common,
        retryStrategy: reconnectDelayMs,
        db,
        name: topology.group,
        sentinels: topology.sentinels.map(({ host, port }) => ({ host, port })),
        sentinelRetryStrategy: reconnectDelayMs,
        enableTLSForSentinelMode: tls !== undefined,
      });
    case 'cluster':
      return new Cluster(
        topology.nodes.map(({ host, port }) => ({ host, port })),
        { redisOptions: common, clusterRetryStrategy: reconnectDelayMs },
      );
  }
}
