// Fraud: a card is tried with a small amount, and a large one follows. docs/examples/jobs/tested-cards.yaml is the same as a job file.
import { collect, keyBy, pattern, topic, withWatermark } from '../../operators/typed/index.ts';

const payments = topic(
  'payments',
  { at: 'timestamp', card: 'string', terminal: 'string', amount: 'double' },
  { key: 'card' },
);

const tested = payments.pipe(
  withWatermark('at', '10s'),
  keyBy('card'),
  pattern({
    first: ({ amount }) => amount < 2,
    followedBy: ({ amount, terminal }, tried) => amount > 50 * tried.amount && terminal !== tried.terminal,
    within: '10m',
    carry: ['amount', 'terminal', 'at'],
    output: { card: 'string', tried: 'double', taken: 'double', seconds: 'long' },
    select: ({ card, amount, at }, tried) => ({
      card,
      tried: tried.amount,
      taken: amount,
      seconds: Math.round((at - tried.at) / 1_000),
    }),
  }),
);

const second = (n: number): number => Date.UTC(2026, 10, 22, 12, 0, n);
const found = await collect(tested, [
  { at: second(0), card: 'c1', terminal: 't1', amount: 1 },
  { at: second(20), card: 'c1', terminal: 't1', amount: 70 },
  { at: second(40), card: 'c2', terminal: 't2', amount: 900 },
  { at: second(90), card: 'c1', terminal: 't2', amount: 80 },
  { at: second(95), card: 'c1', terminal: 't2', amount: 80 },
]);
for (const row of found) console.log(`${row.card}: ${row.tried}, then ${row.taken} after ${row.seconds} s`);

/* prints
c1: 1, then 80 after 90 s
*/
