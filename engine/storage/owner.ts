import { randomUUID } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { SluiceError, messageOf } from '../error.ts';

/** A socket's path must fit in 104 bytes with its end on some systems, and in 108 on Linux. */
const maxSocketPathBytes = 100;

/** Who owns something in a data directory, as written there. Says nothing of people: it may be shown. */
export interface Owner {
  /** Differs for every process and every opening. */
  readonly id: string;
  readonly pid: number;
  readonly sinceMs: number;
  /** A socket that the owner listens on for as long as it lives. */
  readonly socketPath: string;
}

/**
 * A process's sign of life for others: a Unix socket in the data directory that it listens on. The system closes it with the process, however
 * that ends, so a connection that is accepted means "alive", and a refused one "dead", with no timeouts, no clock, and no guessing
 * from process numbers, which are used again and mean nothing in another container that has the same directory mounted.
 */
export class OwnerPresence implements AsyncDisposable {
  readonly owner: Owner;
  readonly #server: Server;

  private constructor(owner: Owner, server: Server) {
    this.owner = owner;
    this.#server = server;
  }

  /** @throws {SluiceError} `STORAGE_FAILED` when no socket can be made in the directory. */
  static async open(directory: string, sinceMs: number): Promise<OwnerPresence> {
    const id = randomUUID();
    const socketPath = socketPathIn(directory, id);
    const server = createServer((connection) => connection.destroy());
    // Must keep nobody's process alive.
    server.unref();
    try {
      await new Promise<void>((done, fail) => {
        server.once('error', fail);
        server.listen(socketPath, () => {
          server.off('error', fail);
          done();
        });
      });
    } catch (thrown) {
      throw new SluiceError(
        'STORAGE_FAILED',
        `could not listen on the socket ${socketPath}, by which others see that this process lives: ${messageOf(thrown)}; ` +
          `the data directory must be on a file system that holds Unix sockets`,
        { fields: { directory }, cause: thrown },
      );
    }
    return new OwnerPresence({ id, pid: process.pid, sinceMs, socketPath }, server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((done) => {
      this.#server.close(() => {
        done();
      });
    });
    rmSync(this.owner.socketPath, { force: true });
  }
}

/** Whether an owner's process lives. One that is stopped (SIGSTOP) lives. */
export function isAlive(owner: Owner): Promise<boolean> {
  return new Promise((answer) => {
    const connection = createConnection(owner.socketPath);
    connection.once('connect', () => {
      connection.destroy();
      answer(true);
    });
    connection.once('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      // Anything else (a full backlog of a stopped process, no permission) comes from a socket that is there.
      answer(code !== 'ECONNREFUSED' && code !== 'ENOENT');
    });
  });
}

/** Removes what a dead owner left behind. */
export function forgetOwner(owner: Owner): void {
  rmSync(owner.socketPath, { force: true });
}

function socketPathIn(directory: string, id: string): string {
  const folder = join(resolve(directory), 'owners');
  const path = join(folder, id.slice(0, 13));
  if (Buffer.byteLength(path) > maxSocketPathBytes) return join(tmpdir(), `sluice-${id}.sock`);
  mkdirSync(folder, { recursive: true });
  return path;
}
