import { strict as assert } from 'node:assert';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import { DeletionDecoder } from '../../engine/source/merged/deletion-decoder.ts';
import { InputsReader } from '../../engine/source/merged/inputs-reader.ts';
import { MergedSource } from '../../engine/source/merged/merged-source.ts';
import type { Source } from '../../engine/source/source.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { InputDefinition, InputsPlan } from '../plan/inputs-plan.ts';
import { openDecoder, openFileSource, openTopicSource } from './open-source.ts';

/**
 * Opens the inputs of a job of the embedded profile as one source of records, which decodes them, too. Its topics must be there.
 *
 * @throws {SluiceError} what the sources throw.
 */
export async function openInputs(plan: InputsPlan, storage: Storage, registry: SchemaRegistry): Promise<InputsReader> {
  const sources: Source[] = [];
  const decoders: (Decoder | null)[] = [];
  try {
    for (const input of plan.inputs) {
      const { source } = input;
      sources.push(
        source.kind === 'topic' ? openTopicSource(storage, source.topic) : await openFileSource(input, source),
      );
      decoders.push(source.kind === 'topic' ? openDecoder(input, registry) : null);
    }
  } catch (error) {
    for (const source of sources) await source[Symbol.asyncDispose]();
    throw error;
  }
  const merged = new MergedSource(sources, plan.enriched?.definitions.length ?? 0);
  return readInputs(plan, merged, decoders, (input, newestMs) => {
    merged.advance(input, newestMs);
  });
}

/**
 * What reads the records of all inputs from a source that has them in one numbering of partitions. Called for every profile.
 *
 * @param decoders one for each input; `null` where it gives records.
 */
export function readInputs(
  plan: InputsPlan,
  source: Source,
  decoders: readonly (Decoder | null)[],
  onProgress: (input: number, newestMs: number) => void = () => undefined,
): InputsReader {
  const { inputs, schema } = plan;
  const decodings = inputs.map((input, index) => {
    const decoder = decoders[index] ?? null;
    return { decoder: isTable(plan, index) && decoder !== null ? ofTable(input, decoder) : decoder, lift: input.lift };
  });
  return new InputsReader({ source, inputs: decodings, schema, onProgress });
}

/** Whether records are looked up in an input: in all but the last, where there are look-ups. */
export function isTable({ inputs, enriched }: InputsPlan, index: number): boolean {
  return enriched !== null && index < inputs.length - 1;
}

/**
 * What decodes the messages of one of several inputs that are topics. Called for each task that reads one.
 *
 * @param registry as `openDecoder` has it.
 */
export function openInputDecoder(plan: InputsPlan, index: number, registry: SchemaRegistry): Decoder {
  const input = plan.inputs[index];
  assert(input !== undefined, 'the job has such an input');
  const decoder = openDecoder(input, registry);
  return isTable(plan, index) ? ofTable(input, decoder) : decoder;
}

/** What decodes a table's topic: its messages without a value delete their keys. */
function ofTable({ schema, source }: InputDefinition, decoder: Decoder): Decoder {
  return new DeletionDecoder({ decoder, schema, keyField: source.key, eventTimeField: source.eventTime.field });
}
