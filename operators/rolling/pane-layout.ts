import type { FieldType, Schema } from '../../engine/record/schema.ts';
import { squareBins, sumBins, sumWidth } from './binned-sum.ts';
import type { PaneRule, RollingDefinition, RollingFunction } from './rolling-definition.ts';
import { layOut, type RollingLayout } from './rolling-layout.ts';

/**
 * What a pane keeps of one stored column: for each part its column among the pane's, -1 where no aggregate needs it. A sum takes several columns (`binned-sum.ts`); `first`
 * and `last` two, an event time and the value.
 */
export interface PanePart {
  /** Index into the stored columns; -1 for the records themselves, each with the value 1. */
  readonly column: number;
  readonly count: number;
  readonly sum: number;
  readonly squares: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly first: number;
  readonly last: number;
}

/** How a rolling operator with panes stores rows and panes, and answers. */
export interface PaneLayout {
  readonly rule: PaneRule;
  /** Of the rows, and of the windows. All stored columns are numbers. */
  readonly rolling: RollingLayout;
  /** The records themselves first, then each stored column. */
  readonly parts: readonly PanePart[];
  /** How many doubles a pane takes beside its end. */
  readonly paneColumns: number;
  /** A pane is made when it has more rows than this: as many as take the memory of one. */
  readonly looseRows: number;
  /** How long behind the watermark records are kept one by one: the longest delay and the allowed lateness. */
  readonly looseMs: number;
}

/** Lays out a definition with panes, which the plan has checked against `schema`. Called once for each operator. */
export function layOutPanes(definition: RollingDefinition, rule: PaneRule, schema: Schema): PaneLayout {
  const rolling = layOut(definition, schema);
  let paneColumns = 0;
  const partOf = (column: number): PanePart => {
    const functions = new Set(
      rolling.readings.flatMap(({ walks }) =>
        walks.filter((walk) => walk.column === column).map((walk) => walk.function),
      ),
    );
    const place = (width: number, ...users: readonly RollingFunction[]): number => {
      if (!users.some((user) => functions.has(user))) return -1;
      paneColumns += width;
      return paneColumns - width;
    };
    return {
      column,
      count: paneColumns++,
      sum: place(sumWidth(sumBins), 'sum', 'avg', 'stddev'),
      squares: place(sumWidth(squareBins), 'stddev'),
      minimum: place(1, 'min'),
      maximum: place(1, 'max'),
      first: place(2, 'first'),
      last: place(2, 'last', 'sinceLast'),
    };
  };
  const parts = [-1, ...rolling.columns.keys()].map(partOf);
  const delaysMs = definition.aggregates.map(({ delayMs }) => delayMs);
  return {
    rule,
    rolling,
    parts,
    paneColumns,
    // At least one: a pane has a count for each column of a row, and one more.
    looseRows: Math.floor((1 + paneColumns) / (1 + rolling.columns.length)),
    looseMs: Math.max(...delaysMs) + definition.allowedLatenessMs,
  };
}

/**
 * Why a function cannot be answered from panes, in words that follow its name; `null` where it can be. Called while features are checked. Panes hold what has a fixed size, and whose answer
 * is the same to the bit however records were put together.
 *
 * @param inputType of what is aggregated; `null` where nothing is.
 */
export function tilingProblem(name: RollingFunction, inputType: FieldType | null): string | null {
  switch (name) {
    case 'count':
    case 'sum':
    case 'avg':
    case 'min':
    case 'max':
    case 'stddev':
    case 'sinceLast':
      return null;
    case 'first':
    case 'last':
      return inputType === 'string' ? 'of texts needs each of them' : null;
    case 'distinct':
      return 'needs each value';
    case 'lastN':
      return 'needs each of the newest records';
    case 'decayedSum':
      return 'needs the age of each record';
  }
}
