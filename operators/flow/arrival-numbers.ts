import { SluiceError } from '../../engine/error.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { isMark } from './flow.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';

const formatVersion = 1;
const countName: Uint8Array = Uint8Array.of(0xff);

/**
 * Numbers results in the order in which they come out, over the whole life of a job: several may come of one record, and an operator behind that keeps them must tell them apart. How many there were
 * is state, so a replay gives each the number that it had.
 */
export class ArrivalNumbers implements StatefulLogic {
  readonly operatorId: string;
  #next = 0;
  #loaded: boolean;
  #hasMoved = false;

  /** @param of the id of the operator whose results are numbered. */
  constructor(of: string, { state }: { readonly state: 'empty' | 'stored' }) {
    this.operatorId = arrivalsIdOf(of);
    this.#loaded = state === 'empty';
  }

  /** Reads how many there were. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    if (this.#loaded) return;
    this.#loaded = true;
    for await (const { value } of reader.scan(this.operatorId)) this.#next = readCount(value);
  }

  /** The first of so many numbers that follow each other, for as many results. */
  take(count: number): number {
    const first = this.#next;
    this.#next += count;
    this.#hasMoved ||= count > 0;
    return first;
  }

  apply(batch: RecordBatch): RecordBatch {
    return batch;
  }

  takeChanges(): readonly StateWrite[] {
    if (!this.#hasMoved) return [];
    this.#hasMoved = false;
    const to = new StateWriter();
    to.u8(formatVersion);
    to.f64(this.#next);
    return [{ operatorId: this.operatorId, key: countName, value: to.take() }];
  }

  dropChanges(): void {
    this.#hasMoved = false;
  }
}

/** Rows under numbers of their own; marks under numbers below 0. */
export function numbered(records: RecordBatch, numbers: ArrivalNumbers): RecordBatch {
  const marks = records.flags.reduce((count, _, row) => count + (isMark(records, row) ? 1 : 0), 0);
  let next = numbers.take(records.rowCount - marks);
  let mark = -1;
  return { ...records, offsets: records.offsets.map((_, row) => (isMark(records, row) ? mark-- : next++)) };
}

/** Under which id the numbers of an operator's results are kept. Called by whoever lists what keeps state. */
export function arrivalsIdOf(operatorId: string): string {
  return `${operatorId}-arrivals`;
}

/** How the count of an operator's results reads: one row. */
export function describeArrivals(of: string): StateDescriber {
  return {
    operatorId: arrivalsIdOf(of),
    kind: 'join',
    keyFields: [],
    filedBy: 'inside',
    keepsMs: null,
    identity: 'arrivals',
    layout: '',
    rowsOf: ({ value }) => [{ key: null, eventTimeMs: null, values: { arrivals: readCount(value) } }],
  };
}

function readCount(value: Uint8Array): number {
  const from = new StateBytes(value);
  const version = from.u8();
  if (version === formatVersion) return from.f64();
  throw new SluiceError(
    'STATE_FORMAT',
    `a stored count of results must have version ${formatVersion}; got ${version}: rebuild the state from the log`,
  );
}
