import { formatDuration } from '../../engine/time/duration.ts';
import type { EventTimeDefinition } from '../checked-job.ts';

/** How event time is read, and what becomes of partitions that are quiet, or ahead, in lines of text. */
export function eventTimeLines(eventTime: EventTimeDefinition): readonly string[] {
  const { field, delayMs, idleTimeoutMs, advanceOnIdle, maxDriftMs } = eventTime;
  return [
    `event time ${field}; the watermark is ${formatDuration(delayMs)} behind the newest record of its partition`,
    ...(advanceOnIdle === true
      ? [
          `that of a partition that brings nothing for ${formatDuration(idleTimeoutMs)} goes on by the clock: results depend on speed`,
        ]
      : []),
    ...(maxDriftMs === undefined
      ? []
      : [`partitions wait for others that are more than ${formatDuration(maxDriftMs)} behind, and not idle`]),
  ];
}
