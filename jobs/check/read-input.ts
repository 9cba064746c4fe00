import type { Schema } from '../../engine/record/schema.ts';
import type { CheckedSource } from './check-source.ts';
import type { InputDefinition, InputsPlan } from '../plan/inputs-plan.ts';

/** An input as it is read by itself. */
export type ReadInput = Omit<InputDefinition, 'lift'> & { readonly origin: CheckedSource['origin'] };

/** Several inputs as one source: what is done with them, and the records that come out. */
export interface CheckedInputs {
  readonly plan: InputsPlan;
  /** Of the records that come out. */
  readonly schema: Schema;
  readonly key: string;
  readonly eventTimeField: string;
}
