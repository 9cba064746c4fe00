import type { InputsOrigin, SourceDefinition } from '../checked-job.ts';

/** Whether the records that a job works on are of several inputs: tables, which records are looked up in, are none. */
export function mixesInputs(source: SourceDefinition): source is SourceDefinition & InputsOrigin {
  return source.kind === 'inputs' && source.plan.enriched === null;
}

/** Whether the records that a job works on come from several partitions: a file has one. */
export function mixesPartitions(source: SourceDefinition): boolean {
  if (source.kind !== 'inputs') return source.kind === 'topic';
  return source.plan.enriched === null || source.plan.inputs.at(-1)?.source.kind === 'topic';
}
