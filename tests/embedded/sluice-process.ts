import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A `sluice` command in a process of its own, run from source. */
export class SluiceProcess {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stdout = '';

  constructor(...args: readonly string[]) {
    this.child = spawn(process.execPath, ['--import', 'tsx', 'cli/main.ts', ...args], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
    });
    let stderr = '';
    this.child.stdout?.on('data', (chunk: Buffer) => (this.#stdout += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    this.ended = once(this.child, 'close').then(([code]) => ({
      code: code as number | null,
      stdout: this.#stdout,
      stderr,
    }));
  }

  /** What it has printed so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /** Ends it as a crash does: at once, with no chance to tidy up. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** Runs a command to its end. */
export function sluice(...args: readonly string[]): Promise<Ended> {
  return new SluiceProcess(...args).ended;
}
