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
  /**
   * A socket that the owner listens on for as long as it lives: relative to the directory, which other processes may see at another path (and which
   * may be copied, owner's name and all), unless that path is too long for a socket.
   */
  readonly socketPath: string;
}

/**
 * A process's sign of life for others: a Unix socket in the data directory that it listens on. The system closes it with the process, however
 * that ends, so a connection that is accepted means "alive", and a refused one "dead", with no timeouts, no clock, and no guessing
 * from process numbers, which are used again and mean nothing in another container that has the same directory mounted.
 */
export class OwnerPresence implements AsyncDisposable {
  readonly owner: Owner;
  readonly #directory: string;
  readonly #server: Server;

  private constructor(owner: Owner, directory: string, server: Server) {
    this.owner = owner;
    this.#directory = directory;
    this.#server = server;
  }

  /** @throws {SluiceError} `STORAGE_FAILED` when no socket can be made in the directory. */
  static async open(directory: string, sinceMs: number): Promise<OwnerPresence> {
    const id = randomUUID();
    const socketPath = newSocketPath(directory, id);
    const server = createServer((connection) => connection.destroy());
    // Must keep nobody's process alive.
    server.unref();
    try {
      await new Promise<void>((done, fail) => {
        server.once('error', fail);
        server.listen(resolve(directory, socketPath), () => {
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
    return new OwnerPresence({ id, pid: process.pid, sinceMs, socketPath }, directory, server);
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await new Promise<void>((done) => {
      this.#server.close(() => {
        done();
      });
    });
    forgetOwner(this.#directory, this.owner);
  }
}

/** Whether an owner's process lives. One that is stopped (SIGSTOP) lives. */
export function isAlive(directory: string, owner: Owner): Promise<boolean> {
  return new Promise((answer) => {
    const connection = createConnection(resolve(directory, owner.socketPath));
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
export function forgetOwner(directory: string, owner: Owner): void {
  rmSync(resolve(directory, owner.socketPath), { force: true });
}

function newSocketPath(directory: string, id: string): string {
  const path = join('owners', id.slice(0, 13));
  if (Buffer.byteLength(resolve(directory, path)) > maxSocketPathBytes) return join(tmpdir(), `sluice-${id}.sock`);
  mkdirSync(join(directory, 'owners'), { recursive: true });
  return path;
}
