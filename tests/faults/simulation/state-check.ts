import type { NaiveState } from './oracle.ts';
import type { StoredState } from './redis-model.ts';
import { task } from './simulated-job.ts';

type Fields = ReadonlyMap<string, Buffer>;

/** What is wrong with a stored state, or `null`. Reads the bytes as their formats are documented, with code of its own. */
export function stateProblem(stored: StoredState, truth: NaiveState): string | null {
  const fields = (operator: string): Fields =>
    new Map(
      [...(stored.hashes.get(`sluice:{${task}}:${operator}`) ?? [])].map(([hex, value]) => [
        Buffer.from(hex, 'hex').toString('latin1'),
        value,
      ]),
    );
  return (
    totalsProblem(fields('total'), truth) ??
    rowsProblem(fields('rolling'), truth) ??
    keptProblem(fields('duplicates'), truth)
  );
}

function totalsProblem(fields: Fields, { totals }: NaiveState): string | null {
  const want = [...totals].map(([card, total]) => `${card} ${total}`).toSorted();
  const have = [...fields].map(([card, value]) => `${card} ${value.toString()}`).toSorted();
  return difference('totals', want, have);
}

/** `u8 version · u8 columns · u16 · u32 rows · f64 × rows times · f64 × rows amounts`, little-endian. */
function rowsProblem(fields: Fields, { rows, horizonMs }: NaiveState): string | null {
  for (const card of new Set([...rows.keys(), ...fields.keys()])) {
    const value = fields.get(card);
    const count = value?.readUInt32LE(4) ?? 0;
    const have = Array.from({ length: count }, (_, i) => [
      value?.readDoubleLE(8 + 8 * i) ?? NaN,
      value?.readDoubleLE(8 + 8 * (count + i)) ?? NaN,
    ]);
    const all = rows.get(card) ?? [];
    const live = (list: readonly (readonly number[])[]): string[] =>
      list.filter(([timeMs = NaN]) => timeMs > horizonMs).map((row) => row.join(' '));
    const problem = difference(`rows of ${card}`, live(all), live(have));
    if (problem !== null) return problem;
    // Of what lies behind the horizon some may be left, and nothing that never was there.
    const known = all.map((row) => row.join(' '));
    const strange = have.find((row) => !known.includes(row.join(' ')));
    if (strange !== undefined) return `rows of ${card}: ${strange.join(' ')} is of no record`;
  }
  return null;
}

/** `u8 version · u32 records · for each f64 time · u32 length · id`, little-endian, in the order of the chunks' keys. */
function keptProblem(fields: Fields, { kept }: NaiveState): string | null {
  const have: string[] = [];
  for (const [, value] of [...fields].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    let at = 5;
    for (let left = value.readUInt32LE(1); left > 0; left--) {
      const length = value.readUInt32LE(at + 8);
      have.push(`${value.toString('utf8', at + 12, at + 12 + length)} ${value.readDoubleLE(at)}`);
      at += 12 + length;
    }
  }
  return difference(
    'records let through',
    kept.map((pair) => pair.join(' ')),
    have,
  );
}

function difference(what: string, want: readonly string[], have: readonly string[]): string | null {
  for (let i = 0; i < Math.max(want.length, have.length); i++) {
    if (want[i] !== have[i]) return `${what}: number ${i} must be ${want[i] ?? 'absent'}; got ${have[i] ?? 'none'}`;
  }
  return null;
}
