import { map } from 'rxjs';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import type { Row } from '../row/row-view.ts';
import { describeLaws } from '../testing/laws.ts';
import { sampledSchema } from '../testing/sampled-streams.ts';
import { explodeRows } from './explode.ts';
import { flatMapRows } from './flat-map.ts';
import { selectColumns } from './select.ts';

const common = { schema: sampledSchema, key: [], delayMs: 20, arrivalOrder: 'does not matter' } as const;

describeLaws('select', () => ({
  ...common,
  open: () => {
    const columns = [
      { name: 'whose', from: 'card' },
      { name: 'more', from: compileExpression('amount + 1', sampledSchema) },
    ];
    return { steps: [{ operator: map(selectColumns(columns, sampledSchema)), fate: 'keeps' }], logics: [] };
  },
}));

describeLaws('flatMap', () => ({
  ...common,
  open: () => {
    const rejected = new RejectedRecords('laws');
    const call = ({ card, place }: Row): Row[] => {
      if (place === 'place 3') throw new RangeError('three');
      return [card, place].flatMap((text) => (text === null || text === undefined ? [] : [{ text }]));
    };
    const fields = [{ name: 'text', type: 'string', presence: 'required' } as const];
    const explode = flatMapRows({ name: 'laws', errors: 'dead-letter', call }, fields, sampledSchema, rejected);
    return { steps: [], emit: map(explode), logics: [], rejected };
  },
}));

describeLaws('a record of each item of a list', () => ({
  ...common,
  open: () => {
    const rejected = new RejectedRecords('laws');
    // Texts are "place 1" to "place 4": two items each.
    const definition = { from: 'place', form: { separator: ' ' }, as: 'item' } as const;
    return { steps: [], emit: map(explodeRows(definition, sampledSchema, rejected)), logics: [], rejected };
  },
}));
