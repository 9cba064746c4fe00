import type { Decoder } from '../../../engine/serde/decoder.ts';
import type { SchemaRegistry } from '../../../engine/serde/schema-registry.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { openInputDecoder } from '../open-inputs.ts';
import { openDecoder } from '../open-source.ts';
import type { Stage } from './stages.ts';

/** What decodes the messages that a stage reads; `null` where it reads an exchange, which has its own. Called once for each task. */
export function openStageDecoder(job: CheckedJob, { input, origin }: Stage, registry: SchemaRegistry): Decoder | null {
  if (input !== 'source') return null;
  return job.source.kind === 'inputs'
    ? openInputDecoder(job.source.plan, origin, registry)
    : openDecoder(job, registry);
}
