import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the embedded ClickHouse of a data directory listens, for whoever wants to query it: kept readable by the directory's owner alone. */
export interface Endpoint {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** Tells this run of the server from any other. */
  readonly serverId: string;
  readonly pid: number;
}

const fileName = 'endpoint.json';

/** `null` when no server has said where it listens; one that is named may be gone. */
export function readEndpoint(directory: string): Endpoint | null {
  try {
    return JSON.parse(readFileSync(join(directory, fileName), 'utf8')) as Endpoint;
  } catch {
    return null;
  }
}

/** Says in the directory where the server listens; readable by its owner alone, for it holds the password. */
export function writeEndpoint(directory: string, endpoint: Endpoint): void {
  const path = join(directory, fileName);
  writeFileSync(`${path}.new`, `${JSON.stringify(endpoint, null, 2)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
}

/** Removes the file, if it still names this server. */
export function removeEndpoint(directory: string, serverId: string): void {
  if (readEndpoint(directory)?.serverId === serverId) rmSync(join(directory, fileName), { force: true });
}

/** Whether the server that an endpoint names answers there. */
export async function isListening(endpoint: Endpoint): Promise<boolean> {
  try {
    const response = await fetch(`${endpoint.url}/ping`);
    await response.text();
    return response.headers.get('X-ClickHouse-Server-Display-Name') === endpoint.serverId;
  } catch {
    return false;
  }
}
