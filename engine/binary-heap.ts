/**
 * A queue that gives the first of what is in it, whatever the order in which it was put in: the classic binary heap (Williams, CACM 7, 1964). Of what is equal, any may come first, so whoever
 * needs one order compares by all that tells two apart. Cost: about the logarithm of its size for each that goes in or comes out; nothing for a look at the first.
 */
export class BinaryHeap<T extends object> {
  readonly #places: T[] = [];
  readonly #compare: (a: T, b: T) => number;

  /** @param compare negative where `a` comes before `b`, as for `Array.prototype.sort`. What it looks at must not change while something is in the heap. */
  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare;
  }

  /** The one that comes out next, left where it is; `undefined` where there is none. */
  get first(): T | undefined {
    return this.#places[0];
  }

  /** Puts one in. */
  add(added: T): void {
    const places = this.#places;
    let hole = places.push(added) - 1;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const above = places[parent];
      if (above === undefined || this.#compare(above, added) <= 0) break;
      places[hole] = above;
      hole = parent;
    }
    places[hole] = added;
  }

  /** Takes out the first; `undefined` where there is none. */
  take(): T | undefined {
    const places = this.#places;
    const first = places[0];
    const last = places.pop();
    if (last !== undefined && places.length > 0) this.#sink(last);
    return first;
  }

  /** Puts one in from the top, whose place is free. */
  #sink(moved: T): void {
    const places = this.#places;
    let hole = 0;
    for (;;) {
      const left = 2 * hole + 1;
      const [one, other] = [places[left], places[left + 1]];
      if (one === undefined) break;
      const isOther = other !== undefined && this.#compare(other, one) < 0;
      const below = isOther ? other : one;
      if (this.#compare(moved, below) <= 0) break;
      places[hole] = below;
      hole = isOther ? left + 1 : left;
    }
    places[hole] = moved;
  }
}
