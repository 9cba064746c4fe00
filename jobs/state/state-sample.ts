import { createHash } from 'node:crypto';
import type { SluiceError } from '../../engine/error.ts';
import type { KeptRow } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { keyParts } from '../../operators/key/decode-key.ts';
import type { JobOperator } from './job-operators.ts';
import { keptRows, type StateView } from './state-view.ts';

/** A key whose stored state is not what the log says. */
export interface Drift {
  readonly operator: string;
  /** The key's fields, as text; empty for what an operator remembers of itself. */
  readonly key: readonly string[];
  /** What differs, in words. */
  readonly words: string;
}

/** The rows of the sampled keys: by operator and key, each as text. */
export type Sample = ReadonlyMap<string, SampledKey>;

interface SampledKey {
  readonly operator: string;
  readonly key: readonly string[];
  readonly rows: string[];
}

/** What differs between what the log says and what is stored. */
export function driftsOf(expected: Sample, stored: Sample): readonly Drift[] {
  const drifts: Drift[] = [];
  for (const name of namesIn(expected, stored)) {
    const words = differenceOf(expected.get(name), stored.get(name));
    const { operator, key } = expected.get(name) ?? stored.get(name) ?? { operator: '', key: [] };
    if (words !== null) drifts.push({ operator, key, words });
  }
  return drifts;
}

/** How many keys are in either of two samples. */
export function countKeys(expected: Sample, stored: Sample): number {
  return namesIn(expected, stored).size;
}

function namesIn(expected: Sample, stored: Sample): ReadonlySet<string> {
  return new Set([...expected.keys(), ...stored.keys()]);
}

/** The rows of a view's sampled keys. @param share of the keys: above 0, at most 1. */
export async function sampleOf(view: StateView, share: number): Promise<Sample> {
  const sample = new Map<string, SampledKey>();
  for (const operator of view.operators) {
    const wants = (key: Uint8Array | null): boolean => isSampled(key, share);
    for await (const row of keptRows(view, operator, { wants, onDamage: damaged })) {
      if (!wants(row.key)) continue;
      const name = `${operator.describer.operatorId} ${row.key === null ? '' : Buffer.from(row.key).toString('hex')}`;
      let sampled = sample.get(name);
      if (sampled === undefined) sample.set(name, (sampled = emptyOf(operator, row)));
      sampled.rows.push(JSON.stringify([row.eventTimeMs, row.values]));
    }
  }
  return sample;
}

/** Bytes that cannot be read are as good as another row. */
function damaged({ key }: StateEntry, { message }: SluiceError): KeptRow {
  return { key, eventTimeMs: null, values: { damaged: message } };
}

function emptyOf({ describer }: JobOperator, { key }: KeptRow): SampledKey {
  return { operator: describer.operatorId, key: key === null ? [] : keyParts(key), rows: [] };
}

/** By the key's hash; what an operator remembers of itself always is. */
function isSampled(key: Uint8Array | null, share: number): boolean {
  if (key === null || share >= 1) return true;
  return createHash('sha256').update(key).digest().readUInt32BE(0) < share * 2 ** 32;
}

function differenceOf(expected: SampledKey | undefined, stored: SampledKey | undefined): string | null {
  if (expected === undefined) return `is stored with ${counted(stored)}, and the log says that there is nothing`;
  if (stored === undefined) return `is not stored, and the log says that there are ${counted(expected)}`;
  if (expected.rows.length !== stored.rows.length) {
    return `is stored with ${counted(stored)}, and the log says ${counted(expected)}`;
  }
  const at = expected.rows.findIndex((row, index) => row !== stored.rows[index]);
  if (at < 0) return null;
  return `row ${at + 1} of ${expected.rows.length} is stored as ${stored.rows[at] ?? ''}, and the log says ${expected.rows[at] ?? ''}`;
}

function counted(sampled: SampledKey | undefined): string {
  const count = sampled?.rows.length ?? 0;
  return `${count} row${count === 1 ? '' : 's'}`;
}
