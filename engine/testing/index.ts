/**
 * The test kit: runs a query over an in-memory broker on a virtual clock, kills it wherever it can die, and gives it the disorder that life has. What users import;
 * `docs/testing.md` shows each part at work.
 */
export {
  addData,
  advanceClock,
  advanceWatermark,
  check,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  checkNewAnswer,
  crash,
  crashAt,
  expectFailure,
  restart,
  stop,
  type Action,
} from './action.ts';
export { near } from './compare-rows.ts';
export { disordered } from './disordered.ts';
export { forEveryCrashPoint } from './for-every-crash-point.ts';
export { inMemoryQuery } from './in-memory-query.ts';
export type { QueryUnderTest } from './query-under-test.ts';
export { arbitraryStream } from './stream-arbitrary.ts';
export { testQuery } from './test-query.ts';
