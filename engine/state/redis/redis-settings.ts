/** A host and a port. */
export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** How to reach Redis: one server, the servers of a Redis Cluster, or a group that Sentinels watch. */
export type RedisTopology =
  | ({ readonly kind: 'single' } & HostAndPort)
  | { readonly kind: 'cluster'; readonly nodes: readonly HostAndPort[] }
  | { readonly kind: 'sentinel'; readonly sentinels: readonly HostAndPort[]; readonly group: string };

/** TLS towards Redis. Files are PEM; without a CA the system's ones are believed. */
export interface RedisTls {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly serverName?: string;
}

/** Everything needed to connect. Plain data, from the job's profile; the password is read from its file when the connection is made. */
export interface RedisSettings {
  readonly topology: RedisTopology;
  /** An ACL user; the default user where absent. */
  readonly username?: string;
  readonly password?: string;
  /** A file with the password, its last line end left off; wins over `password`. */
  readonly passwordFile?: string;
  /** The database's number; not for a cluster, which has one. */
  readonly database?: number;
  readonly tls?: RedisTls;
  /** How long a command may take before it counts as lost, in milliseconds; 10,000 where absent. */
  readonly commandTimeoutMs?: number;
}
