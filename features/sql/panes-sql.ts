import type { PaneRule, RollingDefinition } from '../../operators/rolling/rolling-definition.ts';
import { retentionMs } from '../feature-plan.ts';

/** The start of the pane that an instant lies in: the greatest multiple of the pane's size that is not later. */
export function paneStartSql(instant: string, { sizeMs }: PaneRule): string {
  return `(${instant} - positiveModulo(${instant}, ${sizeMs}))`;
}

/** Up to where a record sees whole panes alone, whose watermark stands before it as `watermark` says. */
export function panesToSql(definition: RollingDefinition, panes: PaneRule, watermark: string): string {
  const delayMs = Math.max(...definition.aggregates.map((aggregate) => aggregate.delayMs));
  return paneStartSql(`${watermark} - ${delayMs + definition.allowedLatenessMs}`, panes);
}

/**
 * The former step as a table, with `_panes_to_ms`, up to where each record's key was compacted before it came, or null: the last time that a record of the key came that was not late, and
 * found, itself among them, more records than there may be that a window can still reach.
 *
 * @param key what SQL calls the columns of the key.
 */
export function compactedSql(
  former: string,
  definition: RollingDefinition,
  panes: PaneRule,
  key: readonly string[],
): string {
  const retained = retentionMs(definition) - panes.sizeMs;
  const inTime = (record: string): string => `ifNull(${record}_time_ms >= ${record}_watermark_ms - ${retained}, true)`;
  const isHeld = `${inTime('_x.')} AND ifNull(_x._time_ms > ${paneStartSql(`_h._watermark_ms - ${retained}`, panes)}, true)`;
  const isFull = `${inTime('_h.')} AND arrayCount(_x -> ${isHeld}, _h._held) > ${panes.aboveRecords ?? 0}`;
  return `(
        SELECT _h.* EXCEPT (_held), maxOrNull(if(${isFull}, ${panesToSql(definition, panes, '_h._watermark_ms')}, NULL)) OVER (
          PARTITION BY ${key.join(', ')} ORDER BY _seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS _panes_to_ms
        FROM (
          SELECT *, groupArray(tuple(_time_ms, _watermark_ms)) OVER (
            PARTITION BY ${key.join(', ')} ORDER BY _seq ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS _held
          FROM ${former}
        ) AS _h
      )`;
}
