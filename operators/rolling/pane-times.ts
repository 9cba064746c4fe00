/**
 * Panes are aligned to the epoch, open on the left and closed on the right, as rolling windows are:
 *
 *     ───(────────────](────────────](────────────](──── …          pane k is (k·size, (k + 1)·size]
 *        k·size
 *
 * So a window `(pane start of u, v]` is whole panes and, where `v` is not a pane's end, a part of the newest.
 */

/** The greatest multiple of the pane's size that is at most `instantMs`; `-Infinity` stays what it is. */
export function paneStartMs(instantMs: number, sizeMs: number): number {
  if (instantMs === -Infinity) return instantMs;
  const rest = instantMs % sizeMs;
  return rest >= 0 ? instantMs - rest : instantMs - rest - sizeMs;
}

/** The end of the pane that a record of this event time lies in: the least multiple of the pane's size that is at least `eventTimeMs`. */
export function paneEndMs(eventTimeMs: number, sizeMs: number): number {
  const startMs = paneStartMs(eventTimeMs, sizeMs);
  return startMs === eventTimeMs ? startMs : startMs + sizeMs;
}
