import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { createInterface, type Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** How a program ended. */
export interface ProgramEnd {
  readonly exitCode: number | null;
  /** Sends it a signal. */
  readonly signal: NodeJS.Signals | null;
  readonly errors: string;
}

/** A TypeScript program of a test, as a process of its own that can be killed. What it prints is read line by line. */
export class Program implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;
  readonly #end: Promise<ProgramEnd>;

  private constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    this.#reader = createInterface({ input: child.stdout });
    this.#lines = this.#reader[Symbol.asyncIterator]();
    this.#end = once(child, 'close').then(([exitCode, signal]) => ({
      exitCode: exitCode as number | null,
      /** Sends it a signal. */
      signal: signal as NodeJS.Signals | null,
      errors,
    }));
  }

  /** Starts `file`, a URL of a TypeScript module. */
  static start(file: URL, ...args: readonly string[]): Program {
    return new Program(spawn(process.execPath, [...programArguments(file), ...args]));
  }

  /** Starts it with files limited to `blocks` of 512 bytes, which is a disk that is full as far as the program can tell. */
  static startWithFileLimit(blocks: number, file: URL, ...args: readonly string[]): Program {
    const shell = ['-c', `ulimit -f ${blocks}; exec "$0" "$@"`, process.execPath, ...programArguments(file), ...args];
    return new Program(spawn('sh', shell));
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** The next line; `null` when the program has ended. */
  async line(): Promise<string | null> {
    const next = await this.#lines.next();
    return next.done === true ? null : next.value;
  }

  /** Reads lines until one starts with `prefix`; the rest of it. @throws when the program ends before. */
  async expect(prefix: string): Promise<string> {
    for (;;) {
      const line = await this.line();
      if (line === null) {
        const { errors } = await this.#end;
        throw new Error(`the program ended before it said "${prefix}": ${errors}`);
      }
      if (line.startsWith(prefix)) return line.slice(prefix.length).trim();
    }
  }

  /** Kills it as the system does when memory runs out; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#end;
  }

  /** Sends it a signal. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it, and waits until it is gone. */
  async end(): Promise<ProgramEnd> {
    // What is not read would keep the pipe full, and the program waiting.
    this.#child.stdout.resume();
    return this.#end;
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await this.kill();
    this.#reader.close();
  }
}

function programArguments(file: URL): readonly string[] {
  return ['--import', import.meta.resolve('tsx'), fileURLToPath(file)];
}
