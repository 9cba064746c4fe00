import { closeSync, existsSync, fdatasyncSync, openSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { bootId } from './boot-id.ts';
import { readCheckpoint } from './checkpoint-file.ts';
import { findDamage, metaPage, readMetas, type LmdbMeta } from './lmdb-file.ts';
import { storageCorrupt } from './storage-error.ts';

/** Where the last checkpoint is written, beside `data.mdb`. */
export const checkpointName = 'checkpoint';
const recoveryName = 'recovery';

/**
 * Judges a log's file before LMDB maps it, and after the machine went down takes it back to its last checkpoint. Every process that opens a log
 * does this first; in the usual case it reads two pages.
 *
 * @throws {SluiceError} `STORAGE_CORRUPT`
 */
export function prepareFile(directory: string): void {
  const path = join(directory, 'data.mdb');
  if (!existsSync(path) || statSync(path).size === 0) return;
  recoverFromPowerFailure(directory, path);
  const newest = newestMeta(path);
  if (newest === undefined) throw storageCorrupt(directory, 'a data.mdb that is no LMDB file, or of another format');
  if ((newest.lastPage + 1) * newest.pageSize > statSync(path).size) {
    // Pages at the end that were given out and given back need never have been written; anything else is a file that was cut off.
    const damage = findDamage(path, newest);
    if (damage !== null) throw storageCorrupt(directory, damage);
  }
}

function newestMeta(path: string): LmdbMeta | undefined {
  const fd = openSync(path, 'r');
  try {
    return readMetas(fd)[0];
  } finally {
    closeSync(fd);
  }
}

/**
 * After the kernel's run has changed, of what was written since the last checkpoint any part may be on the disk and any may not. The
 * checkpoint's tree is whole there (its pages were flushed before it was written, and not used again since), so both metas are set to it.
 */
function recoverFromPowerFailure(directory: string, path: string): void {
  const checkpoint = readCheckpoint(join(directory, checkpointName));
  const now = bootId();
  if (checkpoint === null || now === '' || checkpoint.bootId === now) return;
  if (!beginRecovery(directory, now)) return;
  const { meta } = checkpoint;
  const newest = newestMeta(path);
  // Where the newest meta is the checkpoint's, the log was closed, or idle: then all of it is on the disk.
  if (newest?.txnId !== meta.txnId || !newest.raw.equals(meta.raw)) {
    const damage = findDamage(path, meta);
    if (damage !== null) throw storageCorrupt(directory, `${damage}, after the machine went down`);
    const fd = openSync(path, 'r+');
    try {
      writeSync(fd, metaPage(meta, 0), 0, meta.pageSize, 0);
      writeSync(fd, metaPage(meta, 1), 0, meta.pageSize, meta.pageSize);
      fdatasyncSync(fd);
    } finally {
      closeSync(fd);
    }
    // LMDB makes the lock file anew; the old one lists readers of another life.
    rmSync(join(directory, 'lock.mdb'), { force: true });
  }
  endRecovery(directory, now);
}

/**
 * Lets one process recover, once in each run of the kernel: a file names the run and the process.
 *
 * @returns whether the caller is to do it. A process that finds another at it waits for that one, which takes milliseconds.
 */
function beginRecovery(directory: string, now: string): boolean {
  const path = join(directory, recoveryName);
  for (;;) {
    try {
      const fd = openSync(path, 'wx');
      writeSync(fd, `${now} ${process.pid}`);
      closeSync(fd);
      return true;
    } catch (thrown) {
      if (!(thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST')) throw thrown;
    }
    const [run, owner] = readRecovery(path);
    if (run === now && owner === 'done') return false;
    if (run !== now || !isRunning(Number(owner))) rmSync(path, { force: true });
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
  }
}

function readRecovery(path: string): readonly string[] {
  try {
    return readFileSync(path, 'latin1').split(' ');
  } catch {
    return [];
  }
}

function endRecovery(directory: string, now: string): void {
  const fd = openSync(join(directory, recoveryName), 'w');
  writeSync(fd, `${now} done`);
  closeSync(fd);
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EPERM';
  }
}
