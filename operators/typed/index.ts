/**
 * The typed API: a whole job in TypeScript, of a topic and operators that know their rows' types, over the same logics, columns and exactly-once loop as job files have. What users
 * import as `sluice`; `docs/typescript-api.md` shows each part at work.
 */
export { SluiceError } from '../../engine/error.ts';
export { jsonState, type StateCodec } from '../process/state-codec.ts';
export type { ProcessContext } from '../process/process-definition.ts';
export {
  approxDistinct,
  argMax,
  argMin,
  avg,
  collectList,
  count,
  decayedSum,
  distinct,
  first,
  histogram,
  last,
  max,
  min,
  quantile,
  sinceLast,
  stddev,
  sum,
  top,
  topK,
  variance,
} from './aggregates.ts';
export { amendments } from './amendments.ts';
export { batchesOf, collect, rows } from './batches.ts';
export type { Fields, RowOf } from './fields.ts';
export { keyAll, keyBy } from './key-by.ts';
export { enrich } from './enrich.ts';
export { join } from './join.ts';
export { dropDuplicates, rolling } from './keyed-operators.ts';
export { LocalLog, runLocal } from './local-log.ts';
export { pattern, sessionise } from './pattern.ts';
export { processKeyed } from './process-keyed.ts';
export { derive, expression, filter, flatMap, map, select } from './row-operators.ts';
export { topic, type Stream } from './stream.ts';
export { union } from './union.ts';
export { underTest } from './under-test.ts';
export { countWindows, hopping, session, tumbling } from './window-operators.ts';
export { withWatermark } from './with-watermark.ts';
