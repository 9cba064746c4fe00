import { applyLogic } from '../stateful/apply-logic.ts';
import { describe, it } from 'vitest';
import { describeLaws, laws } from '../testing/laws.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { sampledSchema } from '../testing/sampled-streams.ts';
import { SessionLogic } from './session-logic.ts';

function underLaws(forgetMs: number): OperatorUnderLaws {
  return {
    schema: sampledSchema,
    key: ['card'],
    delayMs: 20,
    arrivalOrder: 'matters within a key',
    open: (start, state) => {
      const definition = {
        operatorId: 'laws',
        key: ['card'],
        gapMs: 30,
        forgetMs,
        delayMs: 20,
        closedBy: 'partition',
      } as const;
      const logic = new SessionLogic(definition, sampledSchema, start);
      return { steps: [{ operator: applyLogic(logic, state), fate: 'keeps' }], logics: [logic] };
    },
  };
}

describeLaws('sessionise', () => underLaws(1_000_000_000));

// A key is forgotten by its partition's watermark, which other keys move: so not with other partitions, and another order.
const forgetting = laws.filter(({ name }) => !name.startsWith('other partitions') && !name.startsWith('another order'));

describe('the laws of operators: sessionise, keys that are forgotten', () => {
  it.each(forgetting)('holds: $name', ({ hold }) => hold(underLaws(60), 400), 180_000);
});
