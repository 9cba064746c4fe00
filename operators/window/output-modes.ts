/** What is published of results that change, by Spark's names. */
export type OutputMode = 'append' | 'update' | 'complete';

/** What kind of results a query has, as far as output modes tell them apart. */
export type ResultKind = 'records' | 'timeWindows' | 'sessionWindows' | 'countWindows';

/** Whether a kind of results can be published in a mode: `ok`, or why it cannot and what could be done. */
export type ModeVerdict = 'ok' | { readonly message: string; readonly expected: string };

const noTable: ModeVerdict = {
  message: 'complete publishes a whole table of results, and a job that answers each record has none',
  expected: 'append',
};

/**
 * Which results can be published in which mode: the table "Output Modes" of Spark's Structured Streaming Programming Guide
 * (https://spark.apache.org/docs/3.5.1/structured-streaming-programming-guide.html#output-modes), with its restrictions on session windows; count windows, which
 * Spark does not have, by the same reasons. Where nothing changes once it is published, append and update are the same.
 */
const matrix: Readonly<Record<ResultKind, Readonly<Record<OutputMode, ModeVerdict>>>> = {
  records: { append: 'ok', update: 'ok', complete: noTable },
  timeWindows: { append: 'ok', update: 'ok', complete: 'ok' },
  sessionWindows: {
    append: 'ok',
    update: {
      message:
        'update publishes a window again as it grows, and two sessions that merge would leave the result of one of them standing',
      expected: 'append, or complete',
    },
    complete: 'ok',
  },
  countWindows: {
    append: 'ok',
    update: 'ok',
    complete: {
      message: 'complete keeps every window, and count windows of a key have nothing to tell them apart by',
      expected: 'append or update',
    },
  },
};

/** Looks a combination up. Called while a job is checked. */
export function judgeOutputMode(kind: ResultKind, mode: OutputMode): ModeVerdict {
  return matrix[kind][mode];
}
