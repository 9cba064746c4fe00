import type { HostAndPort, RedisTopology } from '../../../engine/state/redis/redis-settings.ts';

/** What an address says. Nothing of it may be printed but the host: it may hold a password. */
export interface RedisAddress {
  readonly topology: RedisTopology;
  readonly isEncrypted: boolean;
  readonly user: string | null;
  readonly password: string | null;
  readonly database: number | null;
}

/** The address of a service that speaks HTTP, its password apart. */
export interface ServerAddress {
  /** Without user, password and what follows the host. */
  readonly origin: string;
  /** After the host, without slashes at its ends; empty where there is none. */
  readonly path: string;
  readonly user: string | null;
  readonly password: string | null;
}

const redisPort = 6379;
const sentinelPort = 26379;
const redisForm = /^redis(s?)(?:\+(cluster|sentinel))?:\/\/(?:([^@/]*)@)?([^@/?#]+)(?:\/([^?#]*))?$/;

/**
 * Reads how to reach Redis: `redis://host:6379/0`, `redis+cluster://host:port,host:port`, `redis+sentinel://host:port,host:port/GROUP/0`, each with `rediss`
 * for TLS and `user:password@` (percent-encoded) before the hosts.
 *
 * @returns `null` for what is no such address.
 */
export function readRedisUrl(text: string): RedisAddress | null {
  const [, s = '', kind = 'single', login = null, hosts = '', path = ''] = redisForm.exec(text) ?? [];
  const nodes = hosts.split(',').map((host) => readHost(host, kind === 'sentinel' ? sentinelPort : redisPort));
  const steps = path === '' ? [] : path.split('/');
  const group = kind === 'sentinel' ? (steps.shift() ?? '') : null;
  const [database = null, ...rest] = steps;
  const isSound =
    nodes.every((node) => node !== null) &&
    rest.length === 0 &&
    group !== '' &&
    (database === null || (kind !== 'cluster' && /^\d{1,4}$/.test(database)));
  const [first] = nodes;
  if (!isSound || !first || (kind === 'single' && nodes.length > 1)) return null;
  const known = nodes.filter((node) => node !== null);
  const topology: RedisTopology =
    kind === 'cluster'
      ? { kind, nodes: known }
      : group === null
        ? { kind: 'single', ...first }
        : { kind: 'sentinel', sentinels: known, group };
  const [user, password] = readLogin(login);
  return { topology, isEncrypted: s === 's', user, password, database: database === null ? null : Number(database) };
}

/** Reads the address of a service that speaks HTTP: `http://user:password@host:8123/database`. Gives `null` for what is none. */
export function readServerUrl(text: string): ServerAddress | null {
  if (!URL.canParse(text)) return null;
  const url = new URL(text);
  if (!/^https?:$/.test(url.protocol) || url.host === '') return null;
  const decoded = (part: string): string | null => (part === '' ? null : decodeURIComponent(part));
  return {
    origin: url.origin,
    path: url.pathname.replaceAll(/^\/+|\/+$/g, ''),
    user: decoded(url.username),
    password: decoded(url.password),
  };
}

/** `host`, `host:port` or `[::1]:port`; `null` for anything else. */
function readHost(text: string, defaultPort: number): HostAndPort | null {
  const [, inBrackets, plain, port] = /^(?:\[([0-9A-Fa-f:]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = inBrackets ?? plain;
  return host === undefined ? null : { host, port: port === undefined ? defaultPort : Number(port) };
}

function readLogin(login: string | null): readonly [user: string | null, password: string | null] {
  if (login === null) return [null, null];
  const at = login.indexOf(':');
  const [user, password] = at < 0 ? [login, ''] : [login.slice(0, at), login.slice(at + 1)];
  return [user === '' ? null : decodeURIComponent(user), password === '' ? null : decodeURIComponent(password)];
}
