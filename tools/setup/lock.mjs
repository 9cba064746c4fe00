import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { at } from './paths.mjs';

const POLL_MS = 200;

/** The process named in a lock file, or undefined where the file is gone or that process has ended. */
function livingHolder(file) {
  try {
    const pid = Number(readFileSync(file, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return error.code === 'EPERM' ? 'of another user' : undefined;
  }
}

/** Takes the lock if nobody has it: a hard link appears whole, with the process id in it, or fails. */
function tryTake(file) {
  const own = `${file}.${process.pid}`;
  writeFileSync(own, String(process.pid));
  try {
    linkSync(own, file);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    return false;
  } finally {
    rmSync(own, { force: true });
  }
}

/** Moves a dead process's lock out of the way; puts it back if, meanwhile, it had become a living one's. */
function clearStale(file) {
  const moved = `${file}.stale-${process.pid}`;
  try {
    renameSync(file, moved);
    if (livingHolder(moved) !== undefined) linkSync(moved, file);
  } catch {
    // Another waiting process was faster: the next try finds out.
  } finally {
    rmSync(moved, { force: true });
  }
}

/**
 * Runs `work` while no other set-up or build of this checkout does: two `make` commands at once, or two `sluice` commands after
 * an edit, would write the same files. The second one says once through `say` that it waits, and then finds the work done.
 *
 * @param {(line: string) => void} say
 * @param {() => T | Promise<T>} work
 * @returns {Promise<T>} what `work` gives
 * @template T
 */
export async function alone(say, work) {
  const file = at('.sluice', 'setup.lock');
  mkdirSync(dirname(file), { recursive: true });
  let told = false;
  while (!tryTake(file)) {
    const holder = livingHolder(file);
    if (holder === undefined) clearStale(file);
    else {
      if (!told) say(`another set-up or build of this checkout is running (process ${holder}); waiting for it`);
      told = true;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
  const release = () => rmSync(file, { force: true });
  process.once('exit', release);
  try {
    return await work();
  } finally {
    process.off('exit', release);
    release();
  }
}
