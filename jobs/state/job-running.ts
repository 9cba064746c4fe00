import { SluiceError } from '../../engine/error.ts';

/** `JOB_RUNNING`: what replaces the state of all tasks was not given all of them. */
export function jobRunning(group: string, kept: number, partitions: number): SluiceError {
  return new SluiceError(
    'JOB_RUNNING',
    `the workers of ${group} must be stopped before its state is replaced; ${kept} of ${partitions} partitions were not given up. Stop them, and try it again`,
    { fields: { group } },
  );
}
