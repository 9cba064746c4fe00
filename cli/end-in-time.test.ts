import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** Of coreutils. */
const pipeProgram = 'mkfifo';
const root = fileURLToPath(new URL('..', import.meta.url));

/** A process that is told to stop at once; `stuck` is a file whose opening never returns, and holds a thread of the pool. */
async function run(stuck: string | null): Promise<{ readonly end: unknown; readonly words: string }> {
  const script = `
    import { open } from 'node:fs';
    import { endInTime } from './cli/end-in-time.ts';
    import { jsonLogger } from './engine/observability/logger.ts';
    const stop = new AbortController();
    endInTime(stop.signal, 300, jsonLogger('test'));
    if (${JSON.stringify(stuck)} !== null) open(${JSON.stringify(stuck)}, 'r', () => undefined);
    stop.abort();
    process.exitCode = 7;
  `;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (more: string) => (words += more));
  return { end: await once(child, 'close'), words };
}

describe('a process that was told to stop', () => {
  it('ends as if killed, and says so, where a thread does not return and process.exit would wait for it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-end-'));
    const fifo = join(dir, 'nobody-writes-here');
    execFileSync(pipeProgram, [fifo]);
    const { end, words } = await run(fifo);
    expect(end).toEqual([null, 'SIGKILL']);
    expect(words).toContain('STOP_TIMED_OUT');
    expect(words).toContain('within 0.3 s');
    rmSync(dir, { recursive: true });
  });

  it('is not kept by the last resort when nothing else keeps it', async () => {
    expect(await run(null)).toEqual({ end: [7, null], words: '' });
  });
});
