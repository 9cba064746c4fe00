import { addSquareToSum, addToSum, clearSum, squareBins, sumBins } from './binned-sum.ts';
import type { PanePart } from './pane-layout.ts';

/** Makes the pane whose end stands at `at` one of no records. */
export function clearPane(panes: Float64Array, at: number, stride: number, parts: readonly PanePart[]): void {
  const column = (part: number): number => at + (1 + part) * stride;
  for (const { count, sum, squares, minimum, maximum, first, last } of parts) {
    panes[column(count)] = 0;
    if (sum >= 0) clearSum(panes, column(sum), stride, sumBins);
    if (squares >= 0) clearSum(panes, column(squares), stride, squareBins);
    for (const part of [minimum, maximum]) if (part >= 0) panes[column(part)] = NaN;
    for (const part of [first, last]) if (part >= 0) setEnd(panes, column(part), stride, NaN, NaN);
  }
}

/**
 * Adds a record to the pane whose end stands at `at`. Records of one event time are added in the order of their arrival; others in any.
 *
 * @param values the record's stored columns; NaN is null.
 */
export function addToPane(
  panes: Float64Array,
  at: number,
  stride: number,
  parts: readonly PanePart[],
  eventTimeMs: number,
  values: Float64Array,
): void {
  for (const part of parts) {
    const value = part.column < 0 ? 1 : (values[part.column] ?? NaN);
    if (value !== value) continue;
    const base = at + stride;
    const count = base + part.count * stride;
    panes[count] = (panes[count] ?? 0) + 1;
    if (part.sum >= 0) addToSum(panes, base + part.sum * stride, stride, sumBins, value);
    if (part.squares >= 0) addSquareToSum(panes, base + part.squares * stride, stride, squareBins, value);
    // Without the sign of a zero, of which the first to come would else be kept.
    if (part.minimum >= 0) {
      const minimum = base + part.minimum * stride;
      if (!((panes[minimum] ?? NaN) <= value)) panes[minimum] = value + 0;
    }
    if (part.maximum >= 0) {
      const maximum = base + part.maximum * stride;
      if (!((panes[maximum] ?? NaN) >= value)) panes[maximum] = value + 0;
    }
    if (part.first >= 0) {
      const first = base + part.first * stride;
      if (!((panes[first] ?? NaN) <= eventTimeMs)) setEnd(panes, first, stride, eventTimeMs, value);
    }
    if (part.last >= 0) {
      const last = base + part.last * stride;
      if (!((panes[last] ?? NaN) > eventTimeMs)) setEnd(panes, last, stride, eventTimeMs, value);
    }
  }
}

function setEnd(panes: Float64Array, at: number, stride: number, eventTimeMs: number, value: number): void {
  panes[at] = eventTimeMs;
  panes[at + stride] = value;
}
