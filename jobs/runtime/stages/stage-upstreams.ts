import type { Stage } from './stages.ts';

/**
 * How many tasks bring records to a stage in which several inputs meet: of each input, and, last, of the stage whose results come there, where there is one. 0 for an input whose records do not. Empty for
 * any other stage. Called by whoever opens tasks of the stage.
 *
 * @param partitionsOf how many tasks a stage has.
 */
export function upstreamsOf(
  stages: readonly Stage[],
  { joint }: Stage,
  partitionsOf: (stage: Stage) => number,
): readonly number[] {
  const reads = joint?.reads ?? null;
  if (reads === null) return [];
  const inputs = stages.filter(({ input }) => input === 'source');
  const counts = reads.places.map((place, origin) => {
    const stage = inputs.find((each) => each.origin === origin);
    return place === null || stage === undefined ? 0 : partitionsOf(stage);
  });
  if (reads.results === null) return counts;
  const before = stages.find((stage) => stage.joint?.writes === reads && stage.joint.reads !== null);
  return before === undefined ? counts : [...counts, partitionsOf(before)];
}
