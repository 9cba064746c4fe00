/** What one thing that is computed needs of the others. */
export interface Dependency {
  readonly name: string;
  /** Names of others, and of anything else, which is passed over. */
  readonly needs: readonly string[];
}

/** An order in which everything comes after what it needs, and the circles that have none. */
export interface DependencyOrder<Item extends Dependency> {
  readonly ordered: readonly Item[];
  /** Each circle once, beginning with the item that was declared first: `a` needs `b` needs `a` is `[a, b]`. */
  readonly cycles: readonly (readonly Item[])[];
}

/**
 * Orders items after what they need, and otherwise as they were given. Items in a circle, and items that need one, are not in `ordered`.
 * Depth-first, each item once. Called when a plan is made.
 */
export function orderByNeed<Item extends Dependency>(items: readonly Item[]): DependencyOrder<Item> {
  const byName = new Map(items.map((item) => [item.name, item]));
  const state = new Map<Item, 'open' | 'ordered' | 'stuck'>();
  const ordered: Item[] = [];
  const cycles: Item[][] = [];
  const open: Item[] = [];

  const visit = (item: Item): 'ordered' | 'stuck' => {
    const known = state.get(item);
    if (known === 'open') {
      cycles.push(open.slice(open.indexOf(item)));
      return 'stuck';
    }
    if (known !== undefined) return known;
    state.set(item, 'open');
    open.push(item);
    let outcome: 'ordered' | 'stuck' = 'ordered';
    for (const name of item.needs) {
      const needed = byName.get(name);
      if (needed !== undefined && visit(needed) === 'stuck') outcome = 'stuck';
    }
    open.pop();
    state.set(item, outcome);
    if (outcome === 'ordered') ordered.push(item);
    return outcome;
  };

  items.forEach(visit);
  return { ordered, cycles };
}
