import { applyLogic } from '../stateful/apply-logic.ts';
import { describeLaws } from '../testing/laws.ts';
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

const forgotten = 'since a key that is back is numbered anew or not, as the rows of others have moved the watermark';

describeLaws('sessionise, keys that are forgotten', () => underLaws(60), {
  except: {
    'another order within the delay changes no answer': forgotten,
    'other partitions of the same keys change no answer': forgotten,
  },
});
