import type { Xoshiro128 } from '../random/xoshiro128.ts';

/** The side of the square in which customers and terminals live. */
export const worldSide = 100;

/** Terminals in reach of a customer on average, as in the Handbook's world: 10,000 of them, a reach of 5, a square of 100 by 100. */
const terminalsInReach = 25 * Math.PI;

/** After so many misses the last candidate is taken: only in worlds so empty that a customer has no terminal in reach. */
const mostTries = 64;

/**
 * Where the terminals are, in a grid whose cells are as wide as a customer's reach, so that all terminals in reach of a point are in
 * the nine cells around it. Choosing by rejection from those nine costs three tries and no list for each customer, which at a
 * million customers would take 300 MB.
 */
export class TerminalMap {
  readonly #x: Float64Array;
  readonly #y: Float64Array;
  readonly #reach: number;
  readonly #cellsPerSide: number;
  /** Terminals by cell, row by row; those of cell `c` are at `#firstOfCell[c]` up to `#firstOfCell[c + 1]`. */
  readonly #byCell: Uint32Array;
  readonly #firstOfCell: Uint32Array;

  /** Strews `count` terminals; the reach is such that a customer has some 79 of them, or all if there are fewer. */
  constructor(count: number, random: Xoshiro128) {
    this.#x = Float64Array.from({ length: count }, () => random.uniform(0, worldSide));
    this.#y = Float64Array.from({ length: count }, () => random.uniform(0, worldSide));
    this.#reach = worldSide * Math.sqrt(Math.min(1, terminalsInReach / count) / Math.PI);
    this.#cellsPerSide = Math.max(1, Math.floor(worldSide / this.#reach));
    const cells = this.#cellsPerSide ** 2;
    this.#firstOfCell = new Uint32Array(cells + 1);
    this.#byCell = new Uint32Array(count);
    const cellOf = Uint32Array.from(
      this.#x,
      (x, i) => this.#cell(this.#y[i] ?? 0) * this.#cellsPerSide + this.#cell(x),
    );
    for (const cell of cellOf) this.#firstOfCell[cell + 1] = (this.#firstOfCell[cell + 1] ?? 0) + 1;
    for (let cell = 0; cell < cells; cell++) {
      this.#firstOfCell[cell + 1] = (this.#firstOfCell[cell + 1] ?? 0) + (this.#firstOfCell[cell] ?? 0);
    }
    const next = this.#firstOfCell.slice();
    cellOf.forEach((cell, terminal) => {
      const place = next[cell] ?? 0;
      this.#byCell[place] = terminal;
      next[cell] = place + 1;
    });
  }

  /** A terminal in reach of the point, each with the same chance. */
  pick(x: number, y: number, random: Xoshiro128): number {
    const perSide = this.#cellsPerSide;
    const left = Math.max(0, this.#cell(x) - 1);
    const right = Math.min(perSide - 1, this.#cell(x) + 1);
    const middle = this.#cell(y);
    // Cells beside each other in a row of the grid are one run of `#byCell`: three runs at most.
    const start0 = middle > 0 ? this.#first((middle - 1) * perSide + left) : 0;
    const size0 = middle > 0 ? this.#first((middle - 1) * perSide + right + 1) - start0 : 0;
    const start1 = this.#first(middle * perSide + left);
    const size1 = this.#first(middle * perSide + right + 1) - start1;
    const start2 = middle < perSide - 1 ? this.#first((middle + 1) * perSide + left) : 0;
    const size2 = middle < perSide - 1 ? this.#first((middle + 1) * perSide + right + 1) - start2 : 0;
    const total = size0 + size1 + size2;
    if (total === 0) return random.below(this.#byCell.length);
    let terminal = 0;
    for (let tries = 0; tries < mostTries; tries++) {
      const place = random.below(total);
      if (place < size0) terminal = this.#byCell[start0 + place] ?? 0;
      else if (place < size0 + size1) terminal = this.#byCell[start1 + place - size0] ?? 0;
      else terminal = this.#byCell[start2 + place - size0 - size1] ?? 0;
      const dx = x - (this.#x[terminal] ?? 0);
      const dy = y - (this.#y[terminal] ?? 0);
      if (dx * dx + dy * dy < this.#reach * this.#reach) return terminal;
    }
    return terminal;
  }

  #first(cell: number): number {
    return this.#firstOfCell[cell] ?? 0;
  }

  #cell(coordinate: number): number {
    return Math.min(this.#cellsPerSide - 1, Math.floor((coordinate / worldSide) * this.#cellsPerSide));
  }
}
