import type { StateBytes, StateWriter } from './state-bytes.ts';

/** Splits a double into halves whose products are exact: 2^27 + 1 (Veltkamp; Dekker, Numerische Mathematik 18, 1971). */
const splitter = 134_217_729;

/**
 * A sum of doubles without any rounding: it is held as a few doubles that do not overlap and whose true sum is that of all that was added (Shewchuk, "Adaptive
 * precision floating-point arithmetic", 1997; the method of Python's `math.fsum`). {@link value} rounds once. So the answer does not depend on the order or the
 * grouping of what was added, and adding `-x` takes `x` out without a trace: what merging windows and sliding them needs.
 *
 * Usually one to three doubles; never more than 40, which span every exponent there is. A sum that has left the finite numbers on its way stays lost: `value` is NaN.
 */
export class ExactSum {
  /** Smallest first. */
  readonly #parts: number[];

  constructor(parts: readonly number[] = []) {
    this.#parts = [...parts];
  }

  /** The doubles that the sum is held in. */
  get parts(): readonly number[] {
    return this.#parts;
  }

  /** Adds a number. */
  add(value: number): void {
    const parts = this.#parts;
    let kept = 0;
    let sum = value;
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i] ?? 0;
      const next = sum + part;
      if (!Number.isFinite(next)) {
        parts.length = 0;
        parts.push(NaN);
        return;
      }
      const lost = Math.abs(sum) < Math.abs(part) ? sum - (next - part) : part - (next - sum);
      if (lost !== 0) parts[kept++] = lost;
      sum = next;
    }
    parts.length = kept;
    if (sum !== 0) parts.push(sum);
  }

  /** Adds `a × b` without rounding the product. */
  addProduct(a: number, b: number): void {
    const product = a * b;
    const aHigh = splitter * a - (splitter * a - a);
    const bHigh = splitter * b - (splitter * b - b);
    const aLow = a - aHigh;
    const bLow = b - bHigh;
    this.add(product);
    this.add(aLow * bLow - (product - aHigh * bHigh - aLow * bHigh - aHigh * bLow));
  }

  /** Adds all of another sum. */
  addSum(other: ExactSum): void {
    for (const part of other.parts) this.add(part);
  }

  /** The double nearest to the true sum; NaN where the sum has left the finite numbers. */
  value(): number {
    const parts = this.#parts;
    let i = parts.length - 1;
    let high = parts[i] ?? 0;
    let low = 0;
    while (i > 0 && low === 0) {
      const sum = high;
      const part = parts[--i] ?? 0;
      high = sum + part;
      low = part - (high - sum);
    }
    // What is left over lies exactly between two doubles only by what follows it: that decides the rounding.
    const next = i > 0 ? (parts[i - 1] ?? 0) : 0;
    if ((low < 0 && next < 0) || (low > 0 && next > 0)) {
      const twice = low * 2;
      const rounded = high + twice;
      if (twice === rounded - high) high = rounded;
    }
    return Number.isFinite(high) ? high : NaN;
  }

  /** Writes the sum as it is held. */
  encode(to: StateWriter): void {
    to.u8(this.#parts.length);
    for (const part of this.#parts) to.f64(part);
  }

  /** Reads what {@link encode} wrote. */
  static decode(from: StateBytes): ExactSum {
    const count = from.u8();
    return new ExactSum(Array.from({ length: count }, () => from.f64()));
  }
}
