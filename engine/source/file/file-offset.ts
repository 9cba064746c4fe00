import { SluiceError } from '../../error.ts';
import type { PartitionOffset } from '../source.ts';

/**
 * Where a source of one file reads on after `seek(offsets)`: partition 0's offset, or the end when partition 0 is not named.
 *
 * @throws {SluiceError} `OFFSET_OUT_OF_RANGE` when the file has fewer records than that, as when another file was put in its place.
 */
export function offsetIn(name: string, recordCount: number, offsets: readonly PartitionOffset[]): number {
  const offset = offsets.find((each) => each.partition === 0)?.offset ?? recordCount;
  if (offset < 0 || offset > recordCount) {
    throw new SluiceError(
      'OFFSET_OUT_OF_RANGE',
      `the position to read on from must be in 0 to ${recordCount} in ${name}; got ${offset}: is it the file that the job read before?`,
      { fields: { source: name, offset } },
    );
  }
  return offset;
}
