// Orders: one that is not paid within a quarter of an hour of event time. What did not happen is told by a timer.
import { collect, jsonState, keyBy, processKeyed, topic, withWatermark } from '../../operators/typed/index.ts';

const events = topic('order-events', { order: 'string', at: 'timestamp', what: 'string' }, { key: 'order' });

const unpaid = events.pipe(
  withWatermark('at', '1m'),
  keyBy('order'),
  processKeyed({
    output: { ordered_at: 'timestamp' },
    state: jsonState<{ dueMs: number }>(),
    // Whatever was forgotten to be cleared is not kept for ever.
    ttl: '1d',
    onRecord: ({ what, at }, { state, timers }) => {
      const waiting = state.get();
      if (what === 'placed') {
        const dueMs = at + 15 * 60_000;
        timers.set(dueMs);
        state.set({ dueMs });
      } else if (what === 'paid' && waiting !== null && at < waiting.dueMs) {
        // The timer fires as the watermark comes by, which may be later: what was in time is told by the times.
        timers.delete(waiting.dueMs);
        state.clear();
      }
    },
    onTimer: ({ eventTimeMs, state, emit }) => {
      emit({ ordered_at: eventTimeMs - 15 * 60_000 });
      state.clear();
    },
  }),
);

const minute = (n: number): number => Date.UTC(2026, 10, 22, 12, n);
const found = await collect(unpaid, [
  { order: 'o1', at: minute(0), what: 'placed' },
  { order: 'o2', at: minute(1), what: 'placed' },
  { order: 'o1', at: minute(9), what: 'paid' },
  { order: 'o3', at: minute(16), what: 'placed' },
  // The watermark passes minute 16 here: o2 is due. o3 has its time still.
  { order: 'o4', at: minute(18), what: 'placed' },
]);
for (const { order, ordered_at: atMs } of found) console.log(`${order} of ${new Date(atMs).toISOString()} is not paid`);

/* prints
o2 of 2026-11-22T12:01:00.000Z is not paid
*/
