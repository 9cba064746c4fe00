import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Row } from '../../engine/testing/compare-rows.ts';
import { arbitraryStream } from '../../engine/testing/stream-arbitrary.ts';
import {
  eventTimeField,
  partitionCount,
  runLaw,
  type Cut,
  type IdleMark,
  type LawAnswers,
  type OperatorUnderLaws,
  type PlacedRow,
} from './law-run.ts';

/** Random streams for each law of each operator. */
const streamsPerLaw = 400;
/** A law takes a second or two; a machine that does much else may take much longer. */
const patienceMs = 180_000;
/** The partition that is quiet, or that rows are moved to. */
const otherPartition = 1;
/** How often two neighbours are asked to change places, for each row of a stream. */
const swapsPerRow = 4;

/** A relation between two runs of an operator that must hold for every stream. */
export interface Law {
  readonly name: string;
  /** Rejects with a stream for which it does not hold, made small. */
  readonly hold: (operator: OperatorUnderLaws, streams: number) => Promise<void>;
}

const cutsOf = (...after: readonly Cut['after'][]): fc.Arbitrary<Cut[]> =>
  fc.array(fc.record({ size: fc.integer({ min: 1, max: 12 }), after: fc.constantFrom(...after) }), {
    minLength: 1,
    maxLength: 12,
  });

function streamsFor({ schema, delayMs }: OperatorUnderLaws, late: 'some' | 'none'): fc.Arbitrary<Row[]> {
  return arbitraryStream(fc, schema, { eventTimeField, delayMs, repeats: 'some', late });
}

const inOnePartition = (rows: readonly Row[]): readonly PlacedRow[] => rows.map((row) => ({ row, partition: 0 }));

/** Runs with these cuts, over streams with late rows, and holds them against the run without any. */
function uncut(...after: readonly Cut['after'][]): Law['hold'] {
  return async (operator, numRuns) => {
    const holds = fc.asyncProperty(streamsFor(operator, 'some'), cutsOf(...after), async (rows, cuts) => {
      const placed = inOnePartition(rows);
      expect(await runLaw(operator, placed, cuts)).toEqual(await runLaw(operator, placed));
    });
    await fc.assert(holds, { numRuns });
  };
}

async function quietPartition(operator: OperatorUnderLaws, numRuns: number): Promise<void> {
  if (operator.waitsFor !== 'all partitions') {
    await quietFromTheFirst(operator, numRuns, 'never idle');
    return;
  }
  await idlePartition(operator, numRuns);
  // Idle as soon as it is quiet, it is as if it were not there. Of several inputs, others must be heard from first.
  if (operator.inputs === undefined) await quietFromTheFirst(operator, numRuns, 'idle at once');
}

/** A partition that has had a row, and no more, changes nothing, nor when anything comes. */
async function quietFromTheFirst(
  operator: OperatorUnderLaws,
  numRuns: number,
  idle: 'idle at once' | 'never idle',
): Promise<void> {
  const others = (answers: readonly string[]): string[] => answers.filter((answer) => !answer.includes(quietText));
  const cutsArbitrary = cutsOf('go on', 'flush', 'crash');
  const holds = fc.asyncProperty(streamsFor(operator, 'some'), cutsArbitrary, async (rows, cuts) => {
    const quiet = { row: quietRow(operator, rows), partition: otherPartition };
    const wanted = await runLaw(operator, inOnePartition(rows));
    const placed = [quiet, ...inOnePartition(rows)];
    // The stream is given once more, and with it the quiet row.
    const beforeRows = idle === 'never idle' ? [] : [1, placed.length + 1];
    const marks = beforeRows.map((beforeRow) => ({ beforeRow, partition: otherPartition }));
    const beside = await runLaw(operator, placed, cuts, marks);
    expect({ first: others(beside.first), again: others(beside.again) }).toEqual({
      first: wanted.first,
      again: wanted.again,
    });
    expect(others(allOf(beside))).toEqual(allOf(wanted));
  });
  await fc.assert(holds, { numRuns });
}

/** A quiet partition holds others' answers back until it is idle; then, or when its watermark goes on, they come, and they are the same. */
async function idlePartition(operator: OperatorUnderLaws, numRuns: number): Promise<void> {
  const others = (answers: readonly string[]): string[] => answers.filter((answer) => !answer.includes(quietText));
  const cutsArbitrary = cutsOf('go on', 'flush', 'crash');
  const holds = fc.asyncProperty(streamsFor(operator, 'none'), cutsArbitrary, fc.nat(60), async (rows, cuts, at) => {
    const quiet = { row: quietRow(operator, rows), partition: otherPartition };
    const wanted = await runLaw(operator, inOnePartition(rows));
    const beside = await runLaw(operator, [quiet, ...inOnePartition(rows)], cuts, marksFor(operator, quiet, rows, at));
    expect(others(allOf(beside))).toEqual(allOf(wanted));
  });
  await fc.assert(holds, { numRuns });
}

/**
 * Where the quiet partition is found idle: before some row, once all inputs have had a row in the other partition. An input all of whose partitions are idle is not waited for, and that is another matter than a
 * quiet partition.
 */
function marksFor(
  { inputs }: OperatorUnderLaws,
  { row: quiet, partition }: PlacedRow,
  rows: readonly Row[],
  at: number,
): readonly IdleMark[] {
  const count = inputs?.count ?? 1;
  const inputOf = (row: Row): number => inputs?.of(row) ?? 0;
  const heard = new Set<number>();
  const from = rows.findIndex((row) => heard.add(inputOf(row)).size === count);
  const beforeRow = 1 + Math.max(from + 1, at);
  return from < 0 || beforeRow > rows.length ? [] : [{ beforeRow, partition: partition * count + inputOf(quiet) }];
}

async function otherOrder(operator: OperatorUnderLaws, numRuns: number): Promise<void> {
  const swapsArbitrary = fc.array(fc.nat(), { maxLength: 40 });
  const holds = fc.asyncProperty(streamsFor(operator, 'none'), swapsArbitrary, async (rows, swaps) => {
    const wanted = await runLaw(operator, inOnePartition(rows));
    const other = await runLaw(operator, inOnePartition(reordered(operator, rows, swaps)));
    expect(allOf(other)).toEqual(allOf(wanted));
  });
  await fc.assert(holds, { numRuns });
}

async function otherPartitions(operator: OperatorUnderLaws, numRuns: number): Promise<void> {
  const holds = fc.asyncProperty(streamsFor(operator, 'none'), fc.nat(), async (rows, salt) => {
    const wanted = await runLaw(operator, inOnePartition(rows));
    const spread = rows.map((row) => ({ row, partition: partitionFor(keyOf(operator, row), salt) }));
    expect(allOf(await runLaw(operator, spread))).toEqual(allOf(wanted));
  });
  await fc.assert(holds, { numRuns });
}

/** All answers to a stream, whenever they came: a multiset. */
function allOf({ first, rest }: LawAnswers): readonly string[] {
  return [...first, ...rest].toSorted();
}

/**
 * What must not change an answer, of any operator. Which rows are late depends on the watermark of their own partition, so changes of the order and of the partitions are held on
 * streams in time, and their answers compared as multisets, with those that come when all watermarks have passed everything: when an answer comes that waits for a watermark depends on the other
 * rows, which answer it is does not. The other laws are held on streams with late rows, too, in order, and to what the state that was left tells; for an operator that waits for the least watermark of all
 * partitions, the one of the quiet partition as the last two, with the partition found idle somewhere on the way.
 */
export const laws: readonly Law[] = [
  { name: 'the size of batches changes no answer', hold: uncut('go on', 'flush') },
  { name: 'a crash and a replay change no answer', hold: uncut('go on', 'flush', 'crash') },
  { name: 'a partition that goes quiet changes no answer of the others', hold: quietPartition },
  { name: 'another order within the delay changes no answer', hold: otherOrder },
  { name: 'other partitions of the same keys change no answer', hold: otherPartitions },
];

/** How many streams are searched for one that shows that a law does not hold: few are needed, as a rule, and the search ends there. */
const streamsToSearch = 20_000;

/** What is different for one operator. */
export interface LawOptions {
  /** Random streams for each law; 400 where absent. */
  readonly streams?: number;
  /** By the law's name, why the operator does not keep it. A stream that shows so is looked for, and must be found. */
  readonly except?: Readonly<Record<string, string>>;
}

/**
 * Joins an operator to the laws that every operator must keep, each held over hundreds of random streams (two thousand in all) with disorder, ties, nulls and repeats.
 *
 *     describeLaws('rolling', () => ({ schema, key: ['card'], delayMs: 20, arrivalOrder: 'matters within a key', open }));
 */
export function describeLaws(
  name: string,
  makeOperator: () => OperatorUnderLaws,
  { streams = streamsPerLaw, except = {} }: LawOptions = {},
): void {
  const kept = laws.filter((law) => except[law.name] === undefined);
  const broken = laws.filter((law) => except[law.name] !== undefined);
  describe(`the laws of operators: ${name}`, () => {
    for (const law of kept) it(`holds: ${law.name}`, () => law.hold(makeOperator(), streams), patienceMs);
    for (const law of broken) {
      const shows = async (): Promise<void> => {
        await expect(law.hold(makeOperator(), streamsToSearch)).rejects.toThrow('Property failed');
      };
      it(`does not hold, ${except[law.name]}: ${law.name}`, shows, patienceMs);
    }
  });
}

/** What the texts of the quiet partition's only row say. */
const quietText = '(quiet)';

/** A row of a key that no other row has, older than all others. */
function quietRow({ schema }: OperatorUnderLaws, rows: readonly Row[]): Row {
  const first = Math.min(1_000_000, ...rows.map((row) => Number(row[eventTimeField])));
  const values = schema.fields.map(({ name, type }) => [name, type === 'string' ? quietText : 0]);
  return { ...Object.fromEntries(values), [eventTimeField]: first };
}

/** The rows with neighbours swapped wherever both stay in time, and, where it matters, are of different keys. */
function reordered(operator: OperatorUnderLaws, rows: readonly Row[], swaps: readonly number[]): readonly Row[] {
  const order = [...rows];
  const timeOf = (row: Row): number => Number(row[eventTimeField]);
  for (let swap = 0; swap < swaps.length * swapsPerRow && order.length > 1; swap++) {
    const at = ((swaps[swap % swaps.length] ?? 0) + swap * 7) % (order.length - 1);
    const [earlier, later] = [order[at], order[at + 1]];
    if (earlier === undefined || later === undefined) continue;
    if (operator.arrivalOrder === 'matters within a key' && keyOf(operator, earlier) === keyOf(operator, later))
      continue;
    const newestMs = Math.max(timeOf(later), ...order.slice(0, at).map(timeOf));
    if (newestMs - timeOf(earlier) > operator.delayMs) continue;
    order[at] = later;
    order[at + 1] = earlier;
  }
  return order;
}

const keyOf = ({ key }: OperatorUnderLaws, row: Row): string => JSON.stringify(key.map((name) => row[name] ?? null));

function partitionFor(key: string, salt: number): number {
  let hash = salt % 1_000;
  for (const character of key) hash = (hash * 31 + (character.codePointAt(0) ?? 0)) % 1_000_003;
  return hash % partitionCount;
}
