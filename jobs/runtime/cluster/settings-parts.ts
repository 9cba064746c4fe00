import { z } from 'zod';
import { durationText } from '../../../engine/plan/duration-text.ts';
import type { PartSchemas } from '../../check/check-parts.ts';
import { readRedisUrl, readServerUrl } from './service-url.ts';

/** TLS towards a service: files in PEM. An empty mapping is TLS with the system's certificate authorities. */
export interface TlsPart {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly keyPasswordFile?: string | undefined;
  /** The name that the server's certificate must have, where it is not the host's. */
  readonly serverName?: string | undefined;
}

/** Who we are to a service. `password` comes from the environment alone: a settings file names the file that holds it. */
export interface LoginPart {
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly passwordFile?: string | undefined;
}

/** What is known of Kafka. */
export interface KafkaPart extends LoginPart {
  readonly brokers?: readonly string[] | undefined;
  readonly clientId?: string | undefined;
  readonly mechanism?: SaslMechanism | undefined;
  readonly tls?: TlsPart | undefined;
  /** Of topics that are made; the broker's default where absent. */
  readonly replicas?: number | undefined;
  readonly sessionTimeout?: number | undefined;
}

/** What is known of Redis. */
export interface RedisPart extends LoginPart {
  readonly url?: string | undefined;
  readonly tls?: TlsPart | undefined;
  readonly commandTimeout?: number | undefined;
}

/** What is known of a service that speaks HTTP. */
export interface ServerPart extends LoginPart {
  readonly url?: string | undefined;
}

/** What is known of ClickHouse. */
export interface ClickHousePart extends ServerPart {
  readonly tls?: TlsPart | undefined;
}

/** How much of the state a worker holds. */
export interface StatePart {
  readonly workingSetBytes?: number | undefined;
}

/** All that a settings file, or the environment, says; each part may be absent. Durations are in milliseconds. */
export interface SettingsParts {
  readonly kafka: KafkaPart | undefined;
  readonly redis: RedisPart | undefined;
  readonly clickhouse: ClickHousePart | undefined;
  readonly schemaRegistry: ServerPart | undefined;
  readonly state: StatePart | undefined;
}

/** How the brokers may ask who one is. */
export type SaslMechanism = (typeof saslMechanisms)[number];

/** All the mechanisms that there are. */
export const saslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

/** What an address of Kafka, of Redis and of the others looks like, as a phrase that follows "expected". */
export const addressForms = {
  broker: 'host:port',
  redis:
    'redis://host:port/database, redis+cluster://host:port,host:port or redis+sentinel://host:port,host:port/GROUP, with rediss for TLS',
  server: 'http://host:port or https://host:port',
} as const;

/** A smaller working set than this would be read from Redis again with every batch: somebody meant another unit. */
export const leastWorkingSetBytes = 1_048_576;

/** Whether a text is `host:port`. */
export function isBroker(text: string): boolean {
  return /^(\[[0-9A-Fa-f:]+\]|[^\s:@/,[\]]+):\d{1,5}$/.test(text);
}

const text = z.string().min(1);

const broker = z.string().superRefine((value, context) => {
  if (isBroker(value)) return;
  const params = { expected: addressForms.broker };
  context.addIssue({ code: 'custom', message: `"${value}" is no broker's address`, params });
});

/** An address whose text is in no message: it may hold a password, which a file that is meant to be shared must not. */
function address(
  read: (value: string) => { readonly password: string | null } | null,
  expected: string,
): z.ZodType<string> {
  return z.string().superRefine((value, context) => {
    const found = read(value);
    if (found === null) context.addIssue({ code: 'custom', message: '"url" is no such address', params: { expected } });
    if (found === null || found.password === null) return;
    const params = { expected: 'the file that holds it in "passwordFile", or the environment' };
    context.addIssue({ code: 'custom', message: '"url" holds a password', params });
  });
}

const login = { user: text.optional(), passwordFile: text.optional() };
const tlsFiles = { ca: text.optional(), cert: text.optional(), key: text.optional() };
const serverParts = { url: address(readServerUrl, addressForms.server), ...login };

/** The keys of a settings file. Files that it names are relative to it. */
export const settingsParts: PartSchemas<SettingsParts> = {
  kafka: z
    .strictObject({
      brokers: z.array(broker).min(1).optional(),
      clientId: text.optional(),
      mechanism: z.enum(saslMechanisms).optional(),
      ...login,
      tls: z.strictObject({ ...tlsFiles, keyPasswordFile: text.optional() }).optional(),
      replicas: z.int().min(1).max(16).optional(),
      sessionTimeout: durationText('positive').optional(),
    })
    .optional(),
  redis: z
    .strictObject({
      url: address(readRedisUrl, addressForms.redis).optional(),
      ...login,
      tls: z.strictObject({ ...tlsFiles, serverName: text.optional() }).optional(),
      commandTimeout: durationText('positive').optional(),
    })
    .optional(),
  clickhouse: z.strictObject({ ...serverParts, tls: z.strictObject(tlsFiles).optional() }).optional(),
  schemaRegistry: z.strictObject(serverParts).optional(),
  state: z.strictObject({ workingSetBytes: z.int().min(leastWorkingSetBytes).optional() }).optional(),
};
