// Corrections: a payment that comes late changes what another was compared with, which is told anew.
import {
  amendments,
  avg,
  collect,
  derive,
  expression,
  keyBy,
  rolling,
  topic,
  withWatermark,
} from '../../operators/typed/index.ts';

const payments = topic(
  'payments',
  { id: 'string', at: 'timestamp', card: 'string', amount: 'double' },
  { key: 'card' },
);

const answers = payments.pipe(
  withWatermark('at', '1m'),
  keyBy('card'),
  rolling({ avg_7d: avg('amount').over('7d') }),
  derive({ ratio: expression('double', 'amount / avg_7d') }),
);
const corrections = answers.pipe(
  amendments({ tolerance: { ratio: '10%' }, tell: ['avg_7d'], within: '1d', identity: ['id'] }),
);

const at = (hour: number, minute: number): number => Date.UTC(2026, 10, 22, hour, minute);
const rows = [
  { id: 'p1', at: at(10, 0), card: 'c1', amount: 20 },
  { id: 'p2', at: at(10, 30), card: 'c1', amount: 60 },
  { id: 'p3', at: at(10, 31), card: 'c1', amount: 42 },
  // From before p2, when c1 was on a train.
  { id: 'p4', at: at(10, 10), card: 'c1', amount: 100 },
];
for (const { id, ratio } of await collect(answers, rows)) console.log(`${id}: ${ratio?.toFixed(2) ?? 'no'} times`);
for (const told of await collect(corrections, rows)) {
  const { id, revision, 'before.ratio': before, 'after.ratio': after, 'after.avg_7d': mean } = told;
  console.log(`${id}, amended ${revision}: ${before?.toFixed(2)} is ${after?.toFixed(2)} times ${mean}`);
}

/* prints
p1: no times
p2: 3.00 times
p3: 1.05 times
p4: 5.00 times
p2, amended 1: 3.00 is 1.00 times 60
p3, amended 1: 1.05 is 0.70 times 60
*/
