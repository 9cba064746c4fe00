import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ProcessIdentity } from './launched-process.ts';

/** A service that `npm run services -- up` started, as `status` and `down` find it again. */
export interface RegisteredService {
  readonly port: number;
  readonly process: ProcessIdentity;
  readonly logFile: string;
}

/** The services that `npm run services` knows, in the order in which they are started. */
export const serviceNames = ['kafka', 'redis', 'clickhouse'] as const;

/** One of {@link serviceNames}. */
export type ServiceName = (typeof serviceNames)[number];

/** By name; a service that was ended keeps its entry, so that its next start takes the same port. */
export type Registry = Partial<Record<ServiceName, RegisteredService>>;

/** What was started from this folder, from `services.json` in it; nothing where there is no such file. */
export function readRegistry(dir: string): Registry {
  const file = join(dir, 'services.json');
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Registry) : {};
}

/** Writes `services.json` whole or not at all. */
export function writeRegistry(dir: string, registry: Registry): void {
  const file = join(dir, 'services.json');
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.${process.pid}`, `${JSON.stringify(registry, undefined, 2)}\n`);
  renameSync(`${file}.${process.pid}`, file);
}
