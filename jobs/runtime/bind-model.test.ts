import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { featureDigest } from '../../features/feature-digest.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import { loadJob } from '../load-job.ts';
import { bindFeatures } from './bind-model.ts';

describe('binding a model to a job', () => {
  let plan: FeaturePlan;
  beforeAll(async () => {
    const outcome = await loadJob(fileURLToPath(new URL('../handbook.yaml', import.meta.url)));
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    plan = outcome.job.features;
  });

  const refusal = (features: readonly string[], featureSetDigest: string): SluiceError => {
    try {
      bindFeatures(plan, { model: 'fraud@7', features, featureSetDigest });
    } catch (error) {
      if (error instanceof SluiceError) return error;
    }
    throw new Error('it should have been refused');
  };

  it('gives the inputs in the order of the model, with the declared defaults', () => {
    const features = ['TERMINAL_ID_RISK_7DAY_WINDOW', 'TX_AMOUNT', 'CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW'];
    const inputs = bindFeatures(plan, { model: 'fraud@7', features, featureSetDigest: featureDigest(plan, features) });
    expect(inputs).toEqual([
      { column: 'TERMINAL_ID_RISK_7DAY_WINDOW', whenNull: 0 },
      { column: 'TX_AMOUNT', whenNull: NaN },
      { column: 'CUSTOMER_ID_AVG_AMOUNT_1DAY_WINDOW', whenNull: NaN },
    ]);
  });

  it('refuses a model for a feature that the job has not, and names the nearest', () => {
    const error = refusal(['TERMINAL_ID_RISK_8DAY_WINDOW'], '');
    expect(error.code).toBe('MODEL_FEATURES_MISMATCH');
    expect(error.message).toContain('no feature "TERMINAL_ID_RISK_8DAY_WINDOW"');
    expect(error.message).toContain('TERMINAL_ID_RISK_');
    expect(error.message).toContain('fraud@7');
  });

  it('refuses a model whose features have the same names and another definition', () => {
    const error = refusal(['TERMINAL_ID_RISK_7DAY_WINDOW'], 'f'.repeat(64));
    expect(error.message).toContain('computed otherwise');
    expect(error.message).toContain('ffffffffffff');
  });
});
