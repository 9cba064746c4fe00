import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ClickHouseClient } from '@clickhouse/client';
import { SluiceError } from '../error.ts';
import type { Clock } from '../time/clock.ts';
import type { ClickHouseAccess } from './clickhouse-access.ts';
import { createClickHouse } from './create-clickhouse.ts';
import { isListening, readEndpoint, type Endpoint } from './endpoint-file.ts';
import type { ServerMessage, ServerSettings } from './server-messages.ts';

/** How long a second process waits for the first one's server to say where it listens. */
const shareWithinMs = 20_000;
const retryMs = 50;
const drainMs = 5_000;
const keptErrorBytes = 4_096;

/** How to have an embedded ClickHouse. */
export interface EmbeddedClickHouseOptions {
  /** The data directory (`.sluice`); ClickHouse has its folder `clickhouse`. */
  readonly directory: string;
  readonly clock: Clock;
}

/** Why no server was started: another process has the directory, or something else. */
interface NotStarted {
  readonly kind: 'in-use' | 'failed';
  readonly reason: string;
}

/** A server that this process started. */
interface Started {
  readonly child: ChildProcess;
  readonly endpoint: Endpoint;
}

/**
 * The embedded ClickHouse of a data directory: chDB in a process of its own behind ClickHouse's HTTP interface on a loopback port. The first
 * process that opens it starts it, the others share it (`sluice sql` beside a running job); when the one that started it is gone, the next
 * `client()` of another starts it anew. Its data survive the death of any of the processes.
 */
export class EmbeddedClickHouse implements ClickHouseAccess {
  readonly #directory: string;
  readonly #clock: Clock;
  #started: Started | null = null;
  #endpoint: Endpoint;
  #client: ClickHouseClient | null = null;
  #reopening: Promise<void> | null = null;

  private constructor(directory: string, clock: Clock, opened: Started | Endpoint) {
    this.#directory = directory;
    this.#clock = clock;
    this.#started = 'child' in opened ? opened : null;
    this.#endpoint = 'child' in opened ? opened.endpoint : opened;
  }

  /** @throws {SluiceError} `CLICKHOUSE_UNAVAILABLE`, with what the server said. */
  static async open({ directory, clock }: EmbeddedClickHouseOptions): Promise<EmbeddedClickHouse> {
    const folder = resolve(directory, 'clickhouse');
    mkdirSync(folder, { recursive: true });
    return new EmbeddedClickHouse(folder, clock, await findOrStart(folder, clock, null));
  }

  /** Where it listens now, and what to log in with: for other programs, and for the console's links. */
  get endpoint(): Endpoint {
    return this.#endpoint;
  }

  /** Whether this process started the server, and will end it. */
  get role(): 'owner' | 'guest' {
    return this.#started === null ? 'guest' : 'owner';
  }

  /**
   * The ordinary client, connected to a server that answers. Callers keep it no longer than a task: if the server is gone, this call starts or
   * finds another, mostly on the same port.
   */
  async client(): Promise<ClickHouseClient> {
    if (!(await this.#isUp())) {
      this.#reopening ??= this.#reopen().finally(() => {
        this.#reopening = null;
      });
      await this.#reopening;
    }
    this.#client ??= createClickHouse(this.#endpoint);
    return this.#client;
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client?.close();
    this.#client = null;
    const started = this.#started;
    this.#started = null;
    if (started === null || hasEnded(started.child)) return;
    const ended = once(started.child, 'exit');
    started.child.ref();
    started.child.send('end', () => undefined);
    await ended;
  }

  async #isUp(): Promise<boolean> {
    return this.#started === null ? isListening(this.#endpoint) : Promise.resolve(!hasEnded(this.#started.child));
  }

  async #reopen(): Promise<void> {
    const opened = await findOrStart(this.#directory, this.#clock, this.#endpoint);
    this.#started = 'child' in opened ? opened : null;
    this.#endpoint = 'child' in opened ? opened.endpoint : opened;
    await this.#client?.close();
    this.#client = null;
  }
}

/** Shares the directory's server, or starts one; of several processes that try at once, the engine's lock lets one. */
async function findOrStart(directory: string, clock: Clock, former: Endpoint | null): Promise<Started | Endpoint> {
  const deadlineMs = clock.monotonicMs() + shareWithinMs;
  for (;;) {
    const endpoint = readEndpoint(directory);
    if (endpoint !== null && (await isListening(endpoint))) return endpoint;
    const said = await start(directory, former);
    if ('child' in said) return said;
    if (said.kind === 'failed' && former !== null) {
      // The former port may be another's by now.
      const elsewhere = await start(directory, null);
      if ('child' in elsewhere) return elsewhere;
    }
    if (said.kind !== 'in-use' || clock.monotonicMs() > deadlineMs) {
      throw new SluiceError(
        'CLICKHOUSE_UNAVAILABLE',
        `could not start the embedded ClickHouse in ${directory}: ${said.reason}`,
        {
          retryable: 'transient',
          fields: { directory },
        },
      );
    }
    await clock.sleep(retryMs);
  }
}

async function start(directory: string, former: Endpoint | null): Promise<Started | NotStarted> {
  const settings: ServerSettings = {
    directory,
    port: former === null ? 0 : Number(new URL(former.url).port),
    username: 'default',
    password: former?.password ?? randomBytes(18).toString('base64url'),
    serverId: randomUUID(),
    drainMs,
  };
  const child = spawn(process.execPath, [...programArguments(), JSON.stringify(settings)], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // chDB runs statements on libuv's threads, a few at a time.
    env: { ...process.env, UV_THREADPOOL_SIZE: '16' },
  });
  let errors = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-keptErrorBytes);
  });
  const said = await new Promise<ServerMessage | null>((done) => {
    child.once('message', (message) => {
      done(message as ServerMessage);
    });
    child.once('error', (error) => {
      done({ kind: 'failed', reason: error.message });
    });
    child.once('close', () => {
      done(null);
    });
  });
  if (said === null || said.kind === 'failed') {
    if (child.pid !== undefined && !hasEnded(child)) await once(child, 'close');
    // The engine says on its standard error, and not in its own error, that another process has the directory.
    if (errors.includes('Cannot lock file')) return { kind: 'in-use', reason: errors.trim() };
    const ended = child.signalCode ?? `code ${child.exitCode}`;
    return {
      kind: 'failed',
      reason: `${said?.reason ?? `its process ended with ${ended}`}${errors === '' ? '' : `: ${errors.trim()}`}`,
    };
  }
  // The server must not keep this process alive, and ends with it: the channel between them closes.
  child.unref();
  child.channel?.unref();
  if (child.stderr !== null && 'unref' in child.stderr && typeof child.stderr.unref === 'function')
    child.stderr.unref();
  return { child, endpoint: said.endpoint };
}

function programArguments(): readonly string[] {
  const isSource = import.meta.url.endsWith('.ts');
  const file = fileURLToPath(new URL(`./server-process.${isSource ? 'ts' : 'js'}`, import.meta.url));
  return isSource ? ['--import', import.meta.resolve('tsx'), file] : [file];
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
