import { describe, expect, it } from 'vitest';
import { collect, jsonState, keyBy, pattern, processKeyed, topic, withWatermark } from '../../operators/typed/index.ts';

const second = 1_000;

/**
 * Flink, "Process Function" (nightlies.apache.org/flink/flink-docs-stable, DataStream API): counts by key, and gives out key and count where a minute of event time has passed without an update of
 * the key. There the state holds count and last change, and a timer that is not the last one does nothing.
 */
describe('the example of Flink’s KeyedProcessFunction', () => {
  const events = topic('events', { key: 'string', at: 'timestamp' }, { key: 'key' });
  const counted = events.pipe(
    withWatermark('at', '0s'),
    keyBy('key'),
    processKeyed({
      output: { count: 'long' },
      state: jsonState<{ count: number; lastModified: number }>(),
      onRecord: (_, { state, timers, eventTimeMs }) => {
        const before = state.get();
        state.set({ count: (before?.count ?? 0) + 1, lastModified: eventTimeMs });
        timers.set(eventTimeMs + 60 * second);
      },
      onTimer: ({ state, eventTimeMs, emit }) => {
        const now = state.get();
        if (now !== null && eventTimeMs === now.lastModified + 60 * second) emit({ count: now.count });
      },
    }),
  );

  it('tells counts of keys that were not touched for a minute', async () => {
    expect(
      await collect(counted, [
        { key: 'a', at: 0 },
        { key: 'b', at: 10 * second },
        { key: 'a', at: 40 * second },
        // b's minute is over at 70 s; a's first timer, at 60 s, is not its last.
        { key: 'c', at: 80 * second },
        { key: 'd', at: 200 * second },
      ]),
    ).toEqual([
      { key: 'b', count: 1 },
      { key: 'a', count: 2 },
      { key: 'c', count: 1 },
    ]);
  });
});

/**
 * Flink, "Fraud Detection with the DataStream API", version 2 (nightlies.apache.org/flink/flink-docs-stable, Try Flink): an alert for a transaction of more than 500 right after one of less than 1, within a minute (there by the machine's clock, here by event time). There
 * it is the next transaction of the account that decides; a pattern with relaxed contiguity takes any later one, which is shown beside it.
 */
describe('Flink’s fraud detector', () => {
  const transactions = topic(
    'transactions',
    { account: 'long', at: 'timestamp', amount: 'double' },
    { key: 'account' },
  );
  const timed = transactions.pipe(withWatermark('at', '0s'), keyBy('account'));
  const rows = [
    { account: 1, at: 0, amount: 0.5 },
    { account: 1, at: 10 * second, amount: 600 },
    { account: 2, at: 10 * second, amount: 0.2 },
    { account: 2, at: 20 * second, amount: 30 },
    { account: 2, at: 30 * second, amount: 700 },
    { account: 3, at: 31 * second, amount: 0.9 },
    { account: 3, at: 95 * second, amount: 900 },
  ];

  it('is a flag and a timer', async () => {
    const alerts = timed.pipe(
      processKeyed({
        output: { amount: 'double' },
        state: jsonState<{ timerMs: number }>(),
        onRecord: ({ amount }, { state, timers, emit, eventTimeMs }) => {
          const flag = state.get();
          // Timers fire as the watermark comes by, and that is behind the record: whether the minute is over is told by the times.
          if (flag !== null) {
            if (amount > 500 && eventTimeMs < flag.timerMs) emit({ amount });
            timers.delete(flag.timerMs);
            state.clear();
          }
          if (amount >= 1) return;
          const timerMs = eventTimeMs + 60 * second;
          timers.set(timerMs);
          state.set({ timerMs });
        },
        onTimer: ({ state }) => state.clear(),
      }),
    );
    expect(await collect(alerts, rows)).toEqual([{ account: 1, amount: 600 }]);
  });

  it('is a pattern, where what comes between does not matter', async () => {
    const alerts = timed.pipe(
      pattern({
        first: ({ amount }) => amount < 1,
        followedBy: ({ amount }) => amount > 500,
        within: '1m',
        carry: [],
        output: { account: 'long', amount: 'double' },
        select: ({ account, amount }) => ({ account, amount }),
      }),
    );
    expect(await collect(alerts, rows)).toEqual([
      { account: 1, amount: 600 },
      { account: 2, amount: 700 },
    ]);
  });
});

/**
 * Spark's example StructuredComplexSessionization (examples/src/main in apache/spark), whose comment has these events and results: a session ends five seconds after its last event, or with an event that closes
 * it; the watermark is ten seconds behind. There by flatMapGroupsWithState and an event-time timeout.
 */
describe('Spark’s complex sessionisation', () => {
  interface Event {
    readonly t: number;
    readonly isClose: boolean;
  }
  const endOf = ({ t, isClose }: Event): number => (isClose ? t : t + 5 * second);
  /** The events in order of time, cut where a session ends. */
  const sessionsOf = (events: readonly Event[]): readonly Event[][] => {
    const sessions: Event[][] = [];
    for (const event of events) {
      const last = sessions.at(-1)?.at(-1);
      if (last === undefined || last.isClose || endOf(last) <= event.t) sessions.push([event]);
      else sessions.at(-1)?.push(event);
    }
    return sessions;
  };
  const sessionEnd = (session: readonly Event[]): number => {
    const last = session.at(-1);
    return last === undefined ? 0 : endOf(last);
  };
  const events = topic('events', { user: 'string', type: 'string', at: 'timestamp' }, { key: 'user' });
  const sessions = events.pipe(
    withWatermark('at', '10s'),
    keyBy('user'),
    processKeyed({
      output: { durationMs: 'long', numEvents: 'long' },
      state: jsonState<readonly Event[]>(),
      onRecord: ({ type, at: t }, { state, timers }) => {
        const kept = [...(state.get() ?? []), { t, isClose: type === 'CLOSE_SESSION' }];
        state.set(kept.toSorted((a, b) => a.t - b.t));
        for (const event of kept) timers.set(endOf(event));
      },
      onTimer: ({ state, emit, eventTimeMs }) => {
        const all = sessionsOf(state.get() ?? []);
        const isOver = (session: readonly Event[]): boolean => sessionEnd(session) <= eventTimeMs;
        for (const session of all.filter((each) => isOver(each))) {
          emit({ durationMs: sessionEnd(session) - (session[0]?.t ?? 0), numEvents: session.length });
        }
        state.set(all.filter((session) => !isOver(session)).flat());
      },
    }),
  );

  it('gives the results that its comment has', async () => {
    const at = (user: string, t: number, type = 'NEW_EVENT'): object => ({ user, type, at: t * second });
    const rows = [
      at('user1', 13),
      at('user1', 10),
      at('user1', 15, 'CLOSE_SESSION'),
      at('user1', 17),
      at('user1', 19),
      at('user1', 29),
      at('user2', 45),
      at('user1', 65),
    ];
    expect(await collect(sessions, rows)).toEqual([
      { user: 'user1', durationMs: 5_000, numEvents: 3 },
      { user: 'user1', durationMs: 7_000, numEvents: 2 },
      { user: 'user1', durationMs: 5_000, numEvents: 1 },
      { user: 'user2', durationMs: 5_000, numEvents: 1 },
    ]);
  });
});
