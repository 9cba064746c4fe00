import fc from 'fast-check';

/** A file of features, as text. */
type FeatureText = string;

const overs = fc.constantFrom('10s', '1m', '3m');
const entities = fc.constantFrom('card', 'terminal', 'mcc', '[card, terminal]', '[terminal, mcc]');
const functions = fc.constantFrom('sum', 'avg', 'min', 'max', 'stddev', 'last');

interface Draft {
  readonly kind: 'rolling' | 'counted' | 'text' | 'derived';
  readonly entity: string;
  readonly verb: string;
  readonly over: string;
  readonly delay: string;
  readonly current: string;
  /** Which of the numbers so far is read; taken modulo their count. */
  readonly reads: number;
  readonly where: 'none' | 'field' | 'feature';
}

const draft: fc.Arbitrary<Draft> = fc.record({
  kind: fc.constantFrom('rolling', 'rolling', 'counted', 'text', 'derived'),
  entity: entities,
  verb: functions,
  over: overs,
  delay: fc.constantFrom('0s', '0s', '20s'),
  current: fc.constantFrom('include', 'exclude'),
  reads: fc.nat(20),
  where: fc.constantFrom('none', 'none', 'field', 'feature'),
});

/**
 * Random files of features over the fields of the random streams: of several entities, some of two fields, chained with each other in every way that has
 * no circle.
 */
export const randomDeclarations: fc.Arbitrary<readonly FeatureText[]> = fc
  .array(draft, { minLength: 1, maxLength: 9 })
  .map((drafts) => {
    const numbers = ['amount'];
    const lines = new Map<string, string[]>();
    drafts.forEach((feature, index) => {
      const name = `f${index}`;
      const read = numbers[feature.reads % numbers.length] ?? 'amount';
      const where =
        feature.where === 'none' ? '' : `, where: "${feature.where === 'field' ? 'fraud' : `${read} > 10`}"`;
      const window = `over: ${feature.over}, delay: ${feature.delay}, current: ${feature.current}${where}`;
      const declared = {
        rolling: `{ ${feature.verb}: "${read}", ${window} }`,
        counted: `{ count: true, ${window} }`,
        text: `{ last: mcc, ${window} }`,
        derived: `{ expr: "${read} / 3 + amount" }`,
      }[feature.kind];
      lines.set(feature.entity, [...(lines.get(feature.entity) ?? []), `  ${name}: ${declared}`]);
      if (feature.kind !== 'text') numbers.push(name);
    });
    return [...lines].map(([entity, declared]) => `entity: ${entity}\nfeatures:\n${declared.join('\n')}\n`);
  });
