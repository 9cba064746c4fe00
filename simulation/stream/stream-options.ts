import { SluiceError } from '../../engine/error.ts';

/** What a simulated stream is made of. The same options give the same stream, record for record. */
export interface StreamOptions {
  readonly seed: number;
  /** Cards, one for each customer. */
  readonly customers: number;
  readonly terminals: number;
  /** Event time of the first day's midnight, UTC. */
  readonly startMs: number;
  /** Records in a chunk. */
  readonly chunkRecords: number;
  /** The drift drill, from this day on (the first is 0); `null` for a world that never changes. */
  readonly driftFromDay: number | null;
  /** Records that arrive late: this share of them, each by up to `maxDelayMs` after its event time. */
  readonly disorder: { readonly share: number; readonly maxDelayMs: number };
  /** Records that arrive a second time, within `withinMs` after the first. */
  readonly duplicates: { readonly share: number; readonly withinMs: number };
  /** The share of records that no decoder can accept. */
  readonly malformedShare: number;
}

/** The Handbook's size, beginning on 2026-01-01, in perfect order. */
export const defaultStreamOptions: StreamOptions = {
  seed: 0,
  customers: 5_000,
  terminals: 10_000,
  startMs: Date.UTC(2026, 0, 1),
  chunkRecords: 1_000,
  driftFromDay: null,
  disorder: { share: 0, maxDelayMs: 10_000 },
  duplicates: { share: 0, withinMs: 60_000 },
  malformedShare: 0,
};

const largestCount = 10_000_000;

/**
 * The defaults with `overrides` in their places, checked.
 *
 * @throws {SluiceError} `SIMULATION_OPTION_INVALID` for a count, share or time that cannot be.
 */
export function streamOptions(overrides: Partial<StreamOptions>): StreamOptions {
  const options = { ...defaultStreamOptions, ...overrides };
  checkWhole('seed', options.seed, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('customers', options.customers, 1, largestCount);
  checkWhole('terminals', options.terminals, 1, largestCount);
  checkWhole('startMs', options.startMs, 0, Number.MAX_SAFE_INTEGER);
  checkWhole('chunkRecords', options.chunkRecords, 1, 1_000_000);
  if (options.driftFromDay !== null) checkWhole('driftFromDay', options.driftFromDay, 0, largestCount);
  checkShare('disorder.share', options.disorder.share);
  checkWhole('disorder.maxDelayMs', options.disorder.maxDelayMs, 0, 86_400_000);
  checkShare('duplicates.share', options.duplicates.share);
  checkWhole('duplicates.withinMs', options.duplicates.withinMs, 0, 86_400_000);
  checkShare('malformedShare', options.malformedShare);
  return options;
}

function checkWhole(name: string, value: number, smallest: number, largest: number): void {
  if (Number.isInteger(value) && value >= smallest && value <= largest) return;
  throw new SluiceError(
    'SIMULATION_OPTION_INVALID',
    `the simulation's ${name} must be a whole number from ${smallest} to ${largest}; got ${value}`,
    { fields: { option: name } },
  );
}

function checkShare(name: string, value: number): void {
  if (value >= 0 && value <= 1) return;
  throw new SluiceError('SIMULATION_OPTION_INVALID', `the simulation's ${name} must be from 0 to 1; got ${value}`, {
    fields: { option: name },
  });
}
