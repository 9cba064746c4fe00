import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';

/** A task's state in memory: what a replay has computed. Holds what it is given, absolute, as every store does. */
export class MemoryState implements StateReader {
  readonly #operators = new Map<string, Map<string, Uint8Array>>();

  /** Takes writes over the ones before. */
  put(writes: Iterable<StateWrite>): void {
    for (const { operatorId, key, value } of writes) {
      let entries = this.#operators.get(operatorId);
      if (entries === undefined) this.#operators.set(operatorId, (entries = new Map<string, Uint8Array>()));
      if (value === null) entries.delete(textOf(key));
      else entries.set(textOf(key), value);
    }
  }

  getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    const entries = this.#operators.get(operatorId);
    return Promise.resolve(keys.map((key) => entries?.get(textOf(key)) ?? null));
  }

  async *scan(operatorId: string): AsyncIterable<StateEntry> {
    const entries = [...(this.#operators.get(operatorId) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [key, value] of entries) yield await Promise.resolve({ key: Buffer.from(key, 'latin1'), value });
  }
}

/** A character a byte: such texts compare as the bytes do. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}
