import type { QueryBounds, QueryDefinition, SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import { valueAt } from '../../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../../engine/record/record-batch.ts';
import { JsonDecoder } from '../../../engine/serde/json-decoder.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { messageBatchOf } from '../../../engine/storage/message-batch-builder.ts';
import { DedupeLogic } from '../../../operators/dedupe/dedupe-logic.ts';
import { RollingLogic } from '../../../operators/rolling/rolling-logic.ts';
import type { RollingAggregate } from '../../../operators/rolling/rolling-definition.ts';
import { applyLogic } from '../../../operators/stateful/apply-logic.ts';
import { inputSchema, RunningTotal } from '../../cluster/running-total.ts';
import { job } from './input-log.ts';

const aggregate = (name: string, fn: RollingAggregate['function'], input: string | null): RollingAggregate => ({
  name,
  function: fn,
  input,
  where: null,
  overMs: job.windowMs,
  delayMs: 0,
  current: 'exclude',
  n: null,
  halfLifeMs: null,
});

/** The name that is in every key of the task's state. */
export const task = 'simulation.totals.in-0';

/** What differs between the lives of the job's query. */
export type QueryParts = Pick<QueryDefinition, 'source' | 'commitLog'> & {
  readonly bounds: QueryBounds;
  /** The life of the query, which is in what it says of a partition that is idle. */
  readonly owner?: string;
};

/** Shorter than a poll waits: the partition is idle as soon as a poll brings nothing. */
const idleTimeoutMs = 4;

/**
 * The simulated job: duplicates dropped, a running total and a rolling window for each card, through the product's own operators and decoder. Another stage is told when its partition is idle, again and
 * again, as by a task that writes to an exchange: commits that move no position.
 */
export function simulatedJob({ owner = '', ...parts }: QueryParts): QueryDefinition {
  return {
    ...parts,
    idle: {
      inputs: [{ timeoutMs: idleTimeoutMs, watermark: 'goes on' }],
      heardBy: 'next stage',
      schema: inputSchema,
    },
    name: 'totals',
    jobDigest: 'digest',
    modelDigest: '',
    decoder: new JsonDecoder({ schema: inputSchema, eventTimeField: 'time', keyFields: ['card'] }),
    watermark: { delayMs: job.delayMs, maxFutureSkewMs: job.maxFutureSkewMs },
    openSection,
    score: (records) => Promise.resolve({ records, deadLetters: [] }),
    encode: (records) => ({
      messages: [...(records.rowCount === 0 ? [] : [encode(records)]), ...idleMessages(records, owner)],
      deadLetters: [],
    }),
    encodeDeadLetters: (letters) =>
      messageBatchOf(
        'dead',
        letters.map(({ code, offset, value }) => ({
          value: `${code} ${offset} ${Buffer.from(value ?? []).toString()}`,
        })),
      ),
  };
}

/** Duplicates dropped, a running total and a rolling window for each card. */
export function openSection(start: SectionStart, state: StateReader): Section {
  const dedupe = new DedupeLogic({ operatorId: 'duplicates', by: ['id'], withinMs: job.duplicatesWithinMs }, start);
  const total = new RunningTotal();
  const rolling = new RollingLogic(
    {
      operatorId: 'rolling',
      key: ['card'],
      aggregates: [aggregate('count', 'count', null), aggregate('sum', 'sum', 'amount')],
      allowedLatenessMs: job.allowedLatenessMs,
    },
    total.outputSchema,
    start,
  );
  return {
    steps: [
      { operator: applyLogic(dedupe, state), fate: 'duplicate' },
      { operator: applyLogic(total, state), fate: 'keeps' },
      { operator: applyLogic(rolling, state), fate: 'keeps' },
    ],
    logics: [dedupe, total, rolling],
  };
}

function idleMessages({ idle = [] }: RecordBatch, owner: string): readonly ReturnType<typeof messageBatchOf>[] {
  return idle.map(({ offset, watermarkMs }) => {
    const value = JSON.stringify({
      idleAt: offset + 1,
      watermarkMs: Number.isFinite(watermarkMs) ? watermarkMs : null,
      owner,
    });
    return messageBatchOf('idle', [{ value }]);
  });
}

function encode(records: RecordBatch): ReturnType<typeof messageBatchOf> {
  const column = (name: string, row: number): number | string | null => valueAt(columnOf(records, name), row);
  return messageBatchOf(
    'out',
    Array.from({ length: records.rowCount }, (_, row) => ({
      partition: Number(String(column('card', row)).slice(1)) % 2,
      value: JSON.stringify({
        id: column('id', row),
        offset: records.offsets[row],
        total: column('total', row),
        count: column('count', row),
        sum: column('sum', row),
        flags: records.flags[row],
      }),
    })),
  );
}
