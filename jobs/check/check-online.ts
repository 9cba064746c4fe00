import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { PlanDocument } from '../../engine/plan/plan-document.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import type { OnlineDefinition } from '../checked-job.ts';
import type { StatePart } from '../job-file.ts';
import { onlineEntities } from '../plan/online-entities.ts';

/** Checks that the entities that are to be kept online are entities of the job's features. Says at each name what is wrong with it. */
export function checkOnline(
  document: PlanDocument,
  part: StatePart['online'],
  features: FeaturePlan | null,
  diagnostics: Diagnostic[],
): OnlineDefinition | null {
  if (part === undefined) return null;
  const { entities, ttl } = part === true ? {} : part;
  const known = features === null ? null : onlineEntities(features).map(({ name }) => name);
  if (known?.length === 0) {
    const message = 'none of the features of this job belongs to an entity';
    diagnostics.push(document.atValue(['state', 'online'], { code: 'VALUE_WRONG', message, expected: 'no "online"' }));
  } else if (known !== null) {
    (entities ?? []).forEach((entity, index) => {
      if (known.includes(entity)) return;
      const message = `"${entity}" is no entity of the job's features`;
      const expected = `one of ${known.join(', ')}`;
      const nearest = nearestName(entity, known);
      diagnostics.push(
        document.atValue(['state', 'online', 'entities', index], { code: 'NAME_UNKNOWN', message, expected, nearest }),
      );
    });
  }
  return Object.freeze({ entities: entities ?? null, ttlMs: ttl ?? null });
}
