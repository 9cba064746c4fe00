import { readFileSync } from 'node:fs';

/**
 * Names this run of the machine's kernel: what a process wrote before is in the file system's cache as long as it stays the same, however the
 * process ended; after it has changed, only what was flushed is sure. Empty where the system does not tell (other than Linux).
 */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}
