import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import { InputsReader } from '../../engine/source/merged/inputs-reader.ts';
import type { LiftedField } from '../../engine/source/merged/lift.ts';
import type { Source } from '../../engine/source/source.ts';
import { inputColumn } from '../join/join-definition.ts';
import { cellsOf, OutputRows, type Cell } from '../row/output-rows.ts';
import type { Row } from '../row/row-view.ts';
import { SluiceError } from '../../engine/error.ts';
import type { Arrival } from './arrived-rows.ts';
import type { StreamInput } from './stream-origin.ts';

/** What a field of an input is called among those of all inputs. */
export function columnOfInput(input: string, field: string): string {
  return `${input}.${field}`;
}

/** The records of all inputs under one schema: the input's number, and each input's fields, of which a record has its own. */
function commonSchema(inputs: readonly StreamInput[]): Schema {
  return new Schema([
    { name: inputColumn, type: 'long', presence: 'required' },
    ...inputs.flatMap(({ name, schema }) =>
      schema.fields.map((field): Field => ({ ...field, name: columnOfInput(name, field.name), presence: 'optional' })),
    ),
  ]);
}

/** What reads several topics as one stream of records. Called for each run, over a source that has them in one numbering of partitions. */
export function readSeveral(
  inputs: readonly StreamInput[],
  source: Source,
  onProgress: (input: number, newestMs: number) => void = () => undefined,
): InputsReader {
  const decodings = inputs.map(({ schema, eventTime, key }, index) => ({
    decoder: new JsonDecoder({ schema, eventTimeField: eventTime.field, keyFields: key }),
    lift: [
      'input number' as const,
      ...inputs.flatMap((input, other) =>
        input.schema.fields.map(({ name }): LiftedField => (other === index ? { column: name } : null)),
      ),
    ],
  }));
  return new InputsReader({ source, inputs: decodings, schema: commonSchema(inputs), onProgress });
}

/**
 * Rows of several inputs as one batch in their order, at the offsets that their partitions give them. Each says which input it is of: `{ orders: { id: 'o1', at: 1_000 } }`.
 *
 * @throws {SluiceError} `INPUT_UNKNOWN` for a row of no input.
 * @throws {TypeError} where a row is not of its input's fields.
 */
export function arrivedOfSeveral(
  inputs: readonly StreamInput[],
  rows: readonly object[],
  { partitionOf = () => 0 }: Arrival = {},
): RecordBatch {
  const schema = commonSchema(inputs);
  const outputs = new OutputRows(schema);
  const offsets = new Map<number, number>();
  for (const row of rows) {
    const { input, number, fields } = inputOf(inputs, row);
    const own = cellsOf(input.schema.fields, fields as Row);
    const partition = mergedPartition(number, partitionOf(row), inputs.length);
    const offset = offsets.get(partition) ?? 0;
    offsets.set(partition, offset + 1);
    const eventTimeMs = own[input.schema.indexOf(input.eventTime.field)];
    if (typeof eventTimeMs !== 'number')
      throw new TypeError(`field "${input.eventTime.field}" must be a timestamp; got none`);
    const cells = inputs.flatMap((each, other): Cell[] =>
      other === number ? own : each.schema.fields.map(() => null),
    );
    outputs.add([number, ...cells], { partition, offset, eventTimeMs, watermarkMs: -Infinity, flags: 0 });
  }
  return outputs.build();
}

function inputOf(
  inputs: readonly StreamInput[],
  row: object,
): { readonly input: StreamInput; readonly number: number; readonly fields: object } {
  const [[name, fields] = ['', null], ...others] = Object.entries(row) as [string, unknown][];
  const number = inputs.findIndex((each) => each.name === name);
  const input = inputs[number];
  if (input !== undefined && others.length === 0 && typeof fields === 'object' && fields !== null) {
    return { input, number, fields };
  }
  const names = inputs.map((each) => each.name);
  throw new SluiceError(
    'INPUT_UNKNOWN',
    `a row must say which input it is of, as { ${names.join(': {…} } or { ')}: {…} }; got one with ${Object.keys(row).join(', ')}`,
  );
}
