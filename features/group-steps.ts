/** A step that is computed over the records of a key, with the steps whose answers it reads, by their places. */
export interface KeyedStep<Step> {
  readonly step: Step;
  readonly key: readonly string[];
  readonly needs: ReadonlySet<number>;
}

/** Steps that run in one place, in the order in which they were given. */
export interface StepGroup<Step> {
  /** The fields that keep records together there: all of them are in the key of each of its steps. */
  readonly key: readonly string[];
  readonly steps: readonly Step[];
}

/** What has been placed so far, and how. */
interface Placed {
  readonly done: ReadonlySet<number>;
  readonly groups: readonly (readonly number[])[];
}

/**
 * Cuts steps into as few groups as possible, one after another, such that each step comes after what it needs and every group has a field that is in the
 * keys of all its steps: where records with the same value of that field are together, so are those with the same values of it and others. The first group has all
 * fields of `firstKey` in its steps' keys, and may be empty. Of several shortest ways the first is taken, in the order of the steps, so that the same steps always give the same groups.
 *
 * Breadth first over what is placed. Placing everything that a field allows never makes a way longer, so there is one choice for each field, not for each set of
 * steps.
 *
 * @param steps each after what it needs.
 */
export function groupSteps<Step>(
  steps: readonly KeyedStep<Step>[],
  firstKey: readonly string[],
): readonly StepGroup<Step>[] {
  const fields = [...new Set(steps.flatMap(({ key }) => key))];
  const first = place({ done: new Set(), groups: [] }, firstKey, steps);
  let ways: readonly Placed[] = [first];
  const seen = new Set([nameOf(first)]);
  for (;;) {
    const whole = ways.find(({ done }) => done.size === steps.length);
    if (whole !== undefined) return whole.groups.map((group, index) => groupOf(group, index, steps, firstKey));
    const longer: Placed[] = [];
    for (const way of ways) {
      for (const field of fields) {
        const next = place(way, [field], steps);
        if (next.done.size === way.done.size || seen.has(nameOf(next))) continue;
        seen.add(nameOf(next));
        longer.push(next);
      }
    }
    ways = longer;
  }
}

function place<Step>({ done, groups }: Placed, fields: readonly string[], steps: readonly KeyedStep<Step>[]): Placed {
  const after = new Set(done);
  const group: number[] = [];
  steps.forEach(({ key, needs }, index) => {
    const isTogether = fields.every((field) => key.includes(field));
    if (after.has(index) || !isTogether || ![...needs].every((need) => after.has(need))) return;
    after.add(index);
    group.push(index);
  });
  return { done: after, groups: [...groups, group] };
}

function nameOf({ done }: Placed): string {
  return [...done].sort((a, b) => a - b).join(' ');
}

/** All fields that its steps' keys share, since more fields spread records over more places. */
function groupOf<Step>(
  group: readonly number[],
  index: number,
  steps: readonly KeyedStep<Step>[],
  firstKey: readonly string[],
): StepGroup<Step> {
  const members = group.flatMap((at) => steps[at] ?? []);
  const [one] = members;
  const shared = one?.key.filter((field) => members.every(({ key }) => key.includes(field))) ?? [];
  return { key: index === 0 ? firstKey : shared, steps: members.map(({ step }) => step) };
}
