import { RandomPlan } from './plan.ts';
import type { PlantedBug } from './planted-bug.ts';
import { RandomSource } from './random-source.ts';
import { simulate, type RunResult } from './simulate.ts';

/** One run, all of it from its seed: the input, the batches, the flushes, the order of everything, and the faults. */
export function runSeed(
  seed: number,
  bug: PlantedBug | null = null,
  events: string[] | null = null,
): Promise<RunResult> {
  // Numbers of its own, so that how a run is cut does not shift what befalls it.
  const shape = new RandomSource(seed ^ 0x5eed);
  return simulate({
    plan: new RandomPlan(seed),
    inputSize: 12 + shape.below(48),
    bounds: {
      maxBatchRecords: 1 + shape.below(9),
      maxPollWaitMs: 5,
      maxBatchesInFlight: 1 + shape.below(4),
      flushEveryMs: shape.pick([0, 0, 10, 60, 1_000_000]),
      // Often nothing that may go stays, and sometimes a card or two.
      workingSetBytes: shape.pick([1, 1, 400, Infinity]),
    },
    bug,
    events,
  });
}
