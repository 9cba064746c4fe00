import type { Schema } from '../../engine/record/schema.ts';
import { formatDuration } from '../../engine/time/duration.ts';
import { layOutPanes } from '../../operators/rolling/pane-layout.ts';
import type { RollingDefinition } from '../../operators/rolling/rolling-definition.ts';

const doubleBytes = 8;
const headBytes = 32;

/** How a rolling operator keeps records in panes. */
export interface PanesDescription {
  readonly sizeMs: number;
  /** Keys that hold more records than this are kept in panes; `null`: all are. */
  readonly aboveRecords: number | null;
  /** How long behind the watermark each record is kept beside its pane, since a window may end between two of them. */
  readonly looseMs: number;
  /** A pane of no more records than this is kept as these records. */
  readonly looseRows: number;
  readonly bytesPerPane: number;
  /** Of a key with a pane wherever there can be one, without the records that are kept beside them. */
  readonly bytesPerFullKey: number;
}

/** What a key takes in the store. */
interface KeyBytes {
  readonly perKey: number;
  readonly perRow: number;
  readonly formula: string;
}

/** The panes of an operator, and the bytes of its keys; `null` where it keeps each record. */
export function describePanes(
  definition: RollingDefinition,
  input: Schema,
): { readonly panes: PanesDescription; readonly bytes: KeyBytes } | null {
  const { panes } = definition;
  if (panes === undefined) return null;
  const { looseMs, looseRows, paneColumns, rolling } = layOutPanes(definition, panes, input);
  const perPane = (1 + paneColumns) * doubleBytes;
  const perRow = (1 + rolling.columns.length) * doubleBytes;
  const most = Math.ceil(rolling.retentionMs / panes.sizeMs) + 1;
  return {
    panes: {
      sizeMs: panes.sizeMs,
      aboveRecords: panes.aboveRecords ?? null,
      looseMs,
      looseRows,
      bytesPerPane: perPane,
      bytesPerFullKey: headBytes + most * perPane,
    },
    bytes: { perKey: headBytes, perRow, formula: `${headBytes} + panes × ${perPane} + rows × ${perRow}` },
  };
}

/** What `explain` says of panes. */
export function paneLines({ sizeMs, aboveRecords, looseMs, looseRows }: PanesDescription): readonly string[] {
  const size = formatDuration(sizeMs);
  const loose = looseMs === 0 ? 'at its end' : `${formatDuration(looseMs)} past its end`;
  const windows = `a window begins at the start of a pane, so it is longer than it says, by less than ${size}`;
  return [
    aboveRecords === null
      ? `  panes  of ${size}: ${windows}`
      : `  panes  of ${size} for keys that hold more than ${aboveRecords} records; there ${windows}. Other keys are exact`,
    `         rows are kept beside a pane until the watermark is ${loose}, and instead of one that has at most ${looseRows}`,
  ];
}
