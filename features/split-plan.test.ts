import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PlanDocument } from '../engine/plan/plan-document.ts';
import { compileFeatures } from './compile-features.ts';
import type { FeaturePlan } from './feature-plan.ts';
import { splitPlan, type PlanPart } from './split-plan.ts';
import { randomDeclarations } from './testing/random-declarations.ts';
import { randomStream, streamBatch, streamSchema } from './testing/random-stream.ts';
import { runPlan } from './testing/run-plan.ts';
import { toRows } from '../engine/record/record-batch.ts';
import { selectColumns } from './testing/select-columns.ts';

function planOf(...texts: readonly string[]): FeaturePlan {
  const { plan, diagnostics } = compileFeatures(
    texts.map((text, index) => new PlanDocument(`f${index}.yaml`, text)),
    { schema: streamSchema, eventTimeField: 'event_time', allowedLatenessMs: 5_000 },
  );
  if (plan === null) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

function shape(parts: readonly PlanPart[]): readonly (readonly [string, readonly string[]])[] {
  return parts.map(({ key, steps }) => [
    key.join('+'),
    steps.map((step) =>
      step.kind === 'rolling' ? step.definition.operatorId : step.columns.map(({ name }) => name).join(' '),
    ),
  ]);
}

const card = 'entity: card\nfeatures:\n  avg_1m: { avg: amount, over: 1m }\n';
const terminal = 'entity: terminal\nfeatures:\n  risk: { avg: fraud, over: 1m, delay: 20s }\n';

describe('a plan that is split', () => {
  it('is one part where all features are keyed by the source, or by more fields beside it', () => {
    const pair = 'entity: [terminal, card]\nfeatures:\n  n: { count: true, over: 1m }\n';
    expect(shape(splitPlan(planOf(card, pair), ['card']))).toEqual([['card', ['card/0', 'terminal+card/0']]]);
  });

  it('has a part for the source’s key first, though nothing is computed there', () => {
    expect(shape(splitPlan(planOf(terminal), ['card']))).toEqual([
      ['card', []],
      ['terminal', ['terminal/0']],
    ]);
  });

  it('derives a feature in the part where it is read, and what no operator reads in the last', () => {
    const ratio = 'features:\n  ratio: { expr: amount / avg_1m }\n  night: { expr: hour(event_time) < 6 }\n';
    const risky = 'entity: terminal\nfeatures:\n  spent: { sum: ratio, over: 1m }\n';
    const parts = splitPlan(planOf(card, ratio, risky), ['card']);
    expect(shape(parts)).toEqual([
      ['card', ['card/0']],
      ['terminal', ['ratio', 'terminal/1', 'night']],
    ]);
    expect(parts[0]?.passes.fields.map(({ name }) => name)).not.toContain('ratio');
  });

  it('comes back to an entity where a feature of it needs one of another', () => {
    const back = 'entity: card\nfeatures:\n  risky_1m: { count: true, over: 1m, where: risk > 0.5 }\n';
    expect(shape(splitPlan(planOf(card, terminal, back), ['card']))).toEqual([
      ['card', ['card/0']],
      ['terminal', ['terminal/0']],
      ['card', ['(risk > 0.5)', 'card/1']],
    ]);
  });

  it('keeps records together by all fields that the operators of a part share', () => {
    const pair = 'entity: [terminal, mcc]\nfeatures:\n  n: { count: true, over: 1m }\n';
    expect(splitPlan(planOf(pair), ['card']).map(({ key }) => key)).toEqual([['card'], ['terminal', 'mcc']]);
    expect(splitPlan(planOf(pair, terminal), ['card']).map(({ key }) => key)).toEqual([['card'], ['terminal']]);
  });

  it('waits with an entity for what others need, rather than going there twice', () => {
    // Of mcc one feature could be computed at once, the other after the terminal's: together they make one part.
    const early = 'entity: mcc\nfeatures:\n  n_mcc: { count: true, over: 1m }\n';
    const later = 'entity: mcc\nfeatures:\n  risk_mcc: { avg: risk, over: 1m }\n';
    const parts = splitPlan(planOf(early, terminal, later), ['card']);
    expect(shape(parts)).toEqual([
      ['card', []],
      ['terminal', ['terminal/0']],
      ['mcc', ['mcc/0', 'mcc/1']],
    ]);
  });

  it('gives, part after part over the same records, every column of the plan with the same bits and the same flags', () => {
    fc.assert(
      fc.property(randomDeclarations, randomStream, fc.constantFrom(0, 3_000), (texts, rows, delayMs) => {
        const plan = planOf(...texts);
        const parts = splitPlan(plan, ['card']);
        const whole = runPlan(plan)(streamBatch(rows, delayMs));
        let batch = streamBatch(rows, delayMs);
        for (const { inputSchema, steps } of parts) {
          batch = runPlan({ ...plan, inputSchema, steps })(selectColumns(batch, inputSchema));
        }
        expect([...batch.flags]).toEqual([...whole.flags]);
        expect(toRows(selectColumns(batch, plan.outputSchema))).toEqual(toRows(whole));
      }),
      { numRuns: 200 },
    );
  });

  it('has no part without an operator but the first, each operator once, after what it needs', () => {
    fc.assert(
      fc.property(randomDeclarations, (texts) => {
        const plan = planOf(...texts);
        const parts = splitPlan(plan, ['card']);
        const idsOf = (steps: FeaturePlan['steps']): readonly string[] =>
          steps.flatMap((step) => (step.kind === 'rolling' ? [step.definition.operatorId] : []));
        expect(parts.slice(1).every(({ steps }) => idsOf(steps).length > 0)).toBe(true);
        expect(parts.flatMap(({ steps }) => idsOf(steps)).toSorted()).toEqual([...idsOf(plan.steps)].toSorted());
        for (const { key, steps } of parts) {
          for (const step of steps) {
            if (step.kind === 'rolling') expect(step.definition.key).toEqual(expect.arrayContaining([...key]));
          }
        }
      }),
    );
  });
});
