import { strict as assert } from 'node:assert';
import type { InputsPlan, JoinPlan, OneJoinPlan } from '../../plan/inputs-plan.ts';
import type { JointLink } from './joint-link.ts';

/** The joins of a job as links, and what keeps the results of the last one together. */
export interface ChainLinks {
  readonly links: readonly JointLink[];
  /** Fields of the results. */
  readonly key: readonly string[];
}

/** A link while joins are added to it. */
interface OpenLink {
  readonly link: JointLink;
  /** For each column of its key, every column that has its value in the results so far, where it has one. */
  readonly same: readonly ReadonlySet<string>[];
  /** What the results of the last join call the key. */
  readonly called: readonly string[];
}

/**
 * Cuts a chain of joins into links: a join whose left key has the columns that records are together by already, under any of the names that their values go by, is done where the join before it is;
 * any other begins a link. Called when stages are planned.
 */
export function chainLinks({ inputs }: InputsPlan, join: JoinPlan): ChainLinks {
  const inputOf = (place: number): number => inputs.findIndex(({ name }) => name === join.order[place]);
  const links: JointLink[] = [];
  let open: OpenLink | null = null;
  for (const [index, one] of [...join.before, join].entries()) {
    const right = inputOf(index + 1);
    const joined: OpenLink | null = open === null ? null : added(open, one, right);
    if (joined === null && open !== null) links.push(open.link);
    open = joined ?? begun(one, index, inputs.length, { left: open === null ? inputOf(0) : null, right });
  }
  assert(open !== null, 'a chain has joins');
  return { links: [...links, open.link], key: open.called };
}

/** A link whose first join is this one. @param sides the inputs that it joins; `left` is `null` where the results of the link before are its left side. */
function begun(
  { definition: { left, right, key } }: OneJoinPlan,
  index: number,
  inputCount: number,
  sides: { readonly left: number | null; readonly right: number },
): OpenLink {
  const places = Array.from({ length: inputCount }, (_, input) => {
    if (input === sides.right) return right.key;
    return input === sides.left ? left.key : null;
  });
  const link = {
    key,
    partitions: null,
    places,
    results: sides.left === null ? left.key : null,
    joins: { from: index, to: index + 1 },
  };
  const same = key.map((name, part) => new Set([name, left.key[part] ?? '', right.key[part] ?? '']));
  return { link, same, called: key };
}

/** A link with a further join; `null` where the left key has not all of its columns. */
function added(
  { link, same }: OpenLink,
  { definition: { left, right, key } }: OneJoinPlan,
  input: number,
): OpenLink | null {
  const parts = same.map((names) => left.key.findIndex((column) => names.has(column)));
  if (parts.includes(-1)) return null;
  const place = parts.map((part) => right.key[part] ?? '');
  const called = parts.map((part) => key[part] ?? '');
  const { from, to } = link.joins;
  return {
    link: {
      ...link,
      places: link.places.map((known, each) => (each === input ? place : known)),
      joins: { from, to: to + 1 },
    },
    // Results are keyed anew: the name that the key had is gone, the inputs' own columns stay.
    same: same.map((names, at) => {
      return new Set([...[...names].filter((name) => name.includes('.')), place[at] ?? '', called[at] ?? '']);
    }),
    called,
  };
}
