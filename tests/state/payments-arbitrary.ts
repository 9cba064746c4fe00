import fc from 'fast-check';
import type { Payment } from './state-under-test.ts';

const startMs = Date.UTC(2024, 0, 1);

/** Payments in the order of their arrival: over two hours, some out of order, late, repeated or without an amount. */
export function arbitraryPayments(maxLength: number): fc.Arbitrary<readonly Payment[]> {
  const step = fc.record({
    forthMs: fc.integer({ min: 0, max: 300_000 }),
    backMs: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 5_400_000 })),
    card: fc.integer({ min: 1, max: 5 }),
    terminal: fc.integer({ min: 1, max: 3 }),
    amount: fc.option(fc.integer({ min: 1, max: 40 }), { freq: 8 }),
    repeats: fc.oneof({ weight: 6, arbitrary: fc.constant(0) }, fc.integer({ min: 1, max: 4 })),
  });
  return fc.array(step, { maxLength }).map((steps) => {
    let nowMs = startMs;
    const payments: Payment[] = [];
    for (const { forthMs, backMs, card, terminal, amount, repeats } of steps) {
      nowMs += forthMs;
      const repeated = repeats === 0 ? undefined : payments.at(-repeats);
      const id = repeated?.id ?? `id ${payments.length}`;
      payments.push({ id, at: nowMs - backMs, card: `card-${card}`, terminal: `terminal-${terminal}`, amount });
    }
    return payments;
  });
}
