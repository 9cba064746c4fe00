import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';

/** A store over a plain map, for tests of logics that read all their state before the first batch. */
export class ScannedStore implements StateReader {
  /** By key, a character a byte. */
  readonly values: Map<string, Uint8Array> = new Map<string, Uint8Array>();

  /** Stores what a logic has flushed. */
  write(writes: readonly StateWrite[]): void {
    for (const { key, value } of writes) {
      const name = Buffer.from(key).toString('latin1');
      if (value === null) this.values.delete(name);
      else this.values.set(name, value);
    }
  }

  getMany(): Promise<readonly null[]> {
    return Promise.reject(new Error('all state is read by one scan'));
  }

  async *scan(): AsyncGenerator<StateEntry> {
    const entries = [...this.values].sort(([one], [other]) => (one < other ? -1 : 1));
    for (const [name, value] of entries) yield await Promise.resolve({ key: Buffer.from(name, 'latin1'), value });
  }
}
