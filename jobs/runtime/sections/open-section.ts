import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../../engine/time/partition-watermarks.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { amendSection } from './amend-section.ts';
import { featureSection, jobSection } from './feature-section.ts';
import { enrichSection, streamStart } from './enrich-section.ts';
import { inputsSection } from './inputs-section.ts';
import type { ChainPart } from './join-chain.ts';
import { patternSection } from './pattern-section.ts';
import { windowSection } from './window-section.ts';

/**
 * The operators of a whole job, as one process runs them that reads all partitions: for its queries, and for whoever computes its state anew.
 *
 * @param part which of its joins are done here; absent for all of them.
 */
export function openSection(job: CheckedJob, start: SectionStart, state: StateReader, part?: ChainPart): Section {
  if (job.source.kind !== 'inputs') return openAlone(job, start, state);
  const { plan } = job.source;
  if (plan.enriched !== null) return enrichSection(plan, openAlone(job, streamStart(plan, start), state), start, state);
  // Results of a join carry a watermark of their own, and come from nowhere else.
  const behind = plan.join === null ? start : { state: start.state, watermarks: new PartitionWatermarks() };
  return inputsSection(plan, openAlone(job, behind, state), start, state, part);
}

/** What a job does with the records of its one source, or with what comes out of its several. */
function openAlone(job: CheckedJob, start: SectionStart, state: StateReader): Section {
  const { windows, pattern, amendments } = job;
  if (amendments !== null) return amendSection(job, amendments, start, state);
  const operators = jobSection(job);
  if (pattern !== null) return patternSection(operators, pattern, start, state);
  if (windows !== null) return windowSection({ ...operators, steps: windows.steps }, windows, start, state);
  return featureSection(operators, start, state);
}
