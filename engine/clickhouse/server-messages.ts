import type { Endpoint } from './endpoint-file.ts';

/** What the server's process is started with. */
export interface ServerSettings {
  /** The folder `clickhouse` of the data directory. */
  readonly directory: string;
  /** 0 for any that is free. */
  readonly port: number;
  readonly username: string;
  readonly password: string;
  readonly serverId: string;
  /** How long statements that run may go on once the server is to end. */
  readonly drainMs: number;
}

/** What the server's process says to the one that started it: one of these, once. */
export type ServerMessage =
  | { readonly kind: 'listening'; readonly endpoint: Endpoint; readonly version: string }
  | { readonly kind: 'failed'; readonly reason: string };
