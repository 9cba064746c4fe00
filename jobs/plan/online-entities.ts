import type { FeaturePlan } from '../../features/feature-plan.ts';

/** An entity whose latest feature values can be kept online, and the columns that these are. */
export interface OnlineEntity {
  /** Its key's fields, joined by `+`. */
  readonly name: string;
  readonly key: readonly string[];
  /** Those of every feature that the files of the entity declare, in their order. */
  readonly columns: readonly string[];
}

/**
 * The entities of a job's features: a file declares features of one entity, those computed from the entity's other features among them. A file without a
 * rolling feature has no state of an entity, and none of its features are kept.
 */
export function onlineEntities({ features }: FeaturePlan): readonly OnlineEntity[] {
  const keyOfFile = new Map<string, readonly string[]>();
  for (const feature of features) {
    if (feature.kind === 'rolling' && !keyOfFile.has(feature.file)) keyOfFile.set(feature.file, feature.key);
  }
  const entities = new Map<string, { readonly key: readonly string[]; readonly columns: string[] }>();
  for (const { file, columns } of features) {
    const key = keyOfFile.get(file);
    if (key === undefined) continue;
    const name = key.join('+');
    const entity = entities.get(name) ?? { key, columns: [] };
    entity.columns.push(...columns.map((column) => column.name));
    entities.set(name, entity);
  }
  return [...entities].map(([name, entity]) => ({ name, ...entity }));
}
