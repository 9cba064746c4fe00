import { faultsOf, type CallKind, type Fate } from './fate.ts';
import { ScriptedPlan } from './plan.ts';
import { simulate, type RunResult } from './simulate.ts';

/** Something that goes wrong at one call of a run. */
export interface Strike {
  readonly call: number;
  readonly fate: Fate;
}

/** A scripted run's result, with its calls, which the next scripts strike. */
export interface ScriptedResult {
  readonly result: RunResult;
  readonly calls: readonly CallKind[];
}

/** A short input in small batches with a flush for each, in order, with nothing going wrong but what the strikes say. */
export async function runStruck(strikes: readonly Strike[], events: string[] | null = null): Promise<ScriptedResult> {
  const plan = new ScriptedPlan(new Map(strikes.map(({ call, fate }) => [call, fate])));
  const result = await simulate({
    plan,
    inputSize: 8,
    // Nothing that may be let go stays, so that each batch reads its cards, and each read can be struck.
    bounds: { maxBatchRecords: 4, maxPollWaitMs: 5, maxBatchesInFlight: 2, flushEveryMs: 0, workingSetBytes: 1 },
    bug: null,
    events,
  });
  return { result, calls: plan.calls };
}

/** Every strike that these calls allow from `first` on: each call, in each way in which it can go wrong. */
export function strikesOn(calls: readonly CallKind[], first: number, wanted: (fate: Fate) => boolean): Strike[] {
  return calls.flatMap((kind, call) =>
    call < first || kind === undefined ? [] : faultsOf[kind].filter(wanted).map((fate) => ({ call, fate })),
  );
}
