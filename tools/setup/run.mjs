import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { root } from './paths.mjs';

const HEARTBEAT_MS = 20_000;

/**
 * Runs a program, at the top of the checkout unless `cwd` says otherwise, and collects what it prints. Nothing of it is shown, but
 * `onLine` gets each line of its standard output as it comes, and `onStillRunning` is called every 20 seconds, so that a long
 * step can say that it is alive.
 *
 * @returns {Promise<{ code: number, output: string }>} `code` is 127 where there is no such program, 128 where a signal ended it
 */
export function run(program, args, { cwd = root, env = {}, onStillRunning = () => {}, onLine = () => {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const heartbeat = setInterval(onStillRunning, HEARTBEAT_MS);
    let output = '';
    const collect = (chunk) => {
      output += chunk;
    };
    child.stdout.setEncoding('utf8').on('data', collect);
    createInterface({ input: child.stdout }).on('line', onLine);
    child.stderr.setEncoding('utf8').on('data', collect);
    const finish = (code) => {
      clearInterval(heartbeat);
      resolve({ code, output });
    };
    child.on('error', (error) => {
      output += error.message;
      finish(127);
    });
    child.on('close', (code, signal) => finish(code ?? (signal === null ? 1 : 128)));
  });
}
