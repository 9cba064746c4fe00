import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const keptWords = 4_000;

/** What the command is given. */
export interface JobFiles {
  readonly jobFile: string;
  readonly settingsFile: string;
}

/** The command in a process of its own, started again and again. */
export class CommandWorker {
  readonly #name: number;
  readonly #files: JobFiles;
  #child: ChildProcess;
  #failure: string | null = null;

  constructor(name: number, files: JobFiles) {
    this.#name = name;
    this.#files = files;
    this.#child = this.#spawn();
  }

  /** After `kill`. */
  start(): void {
    this.#child = this.#spawn();
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** As an operator would. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.throwIfFailed();
    const gone = once(child, 'close');
    child.kill('SIGTERM');
    await gone;
    this.throwIfFailed();
  }

  /** Throws where a process has ended though nobody asked it to, or not in good order. */
  throwIfFailed(): void {
    if (this.#failure !== null) throw new Error(this.#failure);
  }

  #spawn(): ChildProcess {
    const { jobFile, settingsFile } = this.#files;
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', 'cli/main.ts', 'run', jobFile, '--profile', 'cluster', '--config', settingsFile],
      {
        cwd: root,
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, NO_COLOR: '1', UV_THREADPOOL_SIZE: '32' },
      },
    );
    let words = '';
    child.stderr.setEncoding('utf8').on('data', (more: string) => (words = (words + more).slice(-keptWords)));
    child.once('close', (code, signal) => {
      // One that was told to stop before it could hear of it had not begun.
      if (signal === 'SIGKILL' || (child.killed && (code === 0 || signal === 'SIGTERM'))) return;
      this.#failure = `worker ${this.#name} must run until it is stopped; it ended by ${signal ?? `exit code ${code ?? '?'}`}: ${words}`;
    });
    return child;
  }
}
