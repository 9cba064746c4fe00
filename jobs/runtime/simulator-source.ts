import { SluiceError } from '../../engine/error.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { PollBounds, Polled, Source } from '../../engine/source/source.ts';
import type { Clock } from '../../engine/time/clock.ts';
import { handbookSource } from './handbook-features.ts';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { SimulatedSource, transactionSchema } from '../../simulation/stream/transaction-source.ts';
import { handbookSchema } from '../../simulation/handbook/record-batches.ts';
import type { CheckedJob, SimulatorOrigin } from '../checked-job.ts';

/** The day of the drift drill, as the published one. */
const driftDay = 110;
const longestWaitMs = 50;

/**
 * Opens the simulator as a job's source: records made up on the spot, the same for the same seed, at a rate or as fast as they are read. After a restart
 * the stream is made anew up to where the job was committed.
 *
 * @throws {SluiceError} `SIMULATOR_FIELDS` when the job's fields are not ones that the simulated world has.
 */
export function openSimulatorSource(job: CheckedJob, origin: SimulatorOrigin, clock: Clock): Source {
  const { world, seed, drift, ratePerSecond } = origin;
  const driftFromDay = drift === 'drill' ? driftDay : null;
  const [source, schema] =
    world === 'handbook'
      ? [handbookSource(generateHandbookTransactions()), handbookSchema]
      : [new SimulatedSource({ world: { seed, driftFromDay }, days: Infinity }), transactionSchema];
  return pace(project(source, schema, job), ratePerSecond, clock);
}

/** The source with the job's fields alone, in the job's order. */
function project(source: Source, schema: Schema, job: CheckedJob): Source {
  const indices = job.schema.fields.map(({ name, type }) => {
    const index = schema.indexOf(name);
    if (schema.fields[index]?.type === type) return index;
    const has = schema.fields.map((field) => `${field.name} ${field.type}`).join(', ');
    throw new SluiceError(
      'SIMULATOR_FIELDS',
      `job ${job.name} must declare fields that the simulated records have; it declares ${name} ${type}, they have ${has}`,
    );
  });
  return wrap(source, async (bounds) => {
    const polled = await source.poll(bounds);
    if (polled === null || polled === 'end' || polled.kind === 'messages') return polled;
    const columns = indices.flatMap((index) => polled.records.columns[index] ?? []);
    return { ...polled, records: { ...polled.records, schema: job.schema, columns } };
  });
}

/** The source held to a rate, counted from its first poll. */
function pace(source: Source, ratePerSecond: number | null, clock: Clock): Source {
  if (ratePerSecond === null) return source;
  let startedMs = NaN;
  let given = 0;
  return wrap(source, async (bounds) => {
    if (Number.isNaN(startedMs)) startedMs = clock.monotonicMs();
    const due = Math.floor(((clock.monotonicMs() - startedMs) / 1_000) * ratePerSecond) - given;
    if (due < 1) {
      await clock.sleep(Math.min(bounds.maxWaitMs, longestWaitMs, 1_000 / ratePerSecond), bounds.signal);
      return null;
    }
    const maxRecords = Math.min(bounds.maxRecords, due);
    given += maxRecords;
    return source.poll({ ...bounds, maxRecords });
  });
}

function wrap(source: Source, poll: (bounds: PollBounds) => Promise<Polled | null | 'end'>): Source {
  return {
    name: source.name,
    ranges: () => source.ranges(),
    seek: (offsets) => source.seek(offsets),
    poll,
    [Symbol.asyncDispose]: async () => source[Symbol.asyncDispose](),
  };
}
