import { describe, expect, expectTypeOf, it } from 'vitest';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  testQuery,
} from '../../engine/testing/index.ts';
import {
  collect,
  count,
  filter,
  keyBy,
  pattern,
  rolling,
  sessionise,
  topic,
  underTest,
  withWatermark,
} from './index.ts';

const clicks = topic('clicks', { user: 'string', at: 'timestamp', page: 'string', ms: 'double?' }, { key: 'user' });
const timed = clicks.pipe(withWatermark('at', '1m'), keyBy('user'));
const click = (user: string, minute: number, page: string, ms: number | null = null) => {
  return { user, at: minute * 60_000, page, ms };
};

describe('a pattern in TypeScript', () => {
  const bought = timed.pipe(
    pattern({
      first: ({ page }) => page === 'cart',
      followedBy: ({ page, ms }, cart) => {
        expectTypeOf(cart).toEqualTypeOf<{ readonly at: number; readonly ms: number | null }>();
        if (ms === -1) throw new RangeError('negative');
        return page === 'paid';
      },
      within: '30m',
      carry: ['at', 'ms'],
      output: { user: 'string', minutes: 'double' },
      select: ({ user, at }, cart) => ({ user, minutes: (at - cart.at) / 60_000 }),
    }),
    filter(({ minutes }) => minutes > 1),
  );
  const given = [
    click('u', 0, 'cart'),
    click('v', 1, 'paid'),
    click('u', 2, 'help'),
    click('u', 9, 'cart'),
    click('u', 10, 'paid', -1),
    click('u', 12, 'paid'),
    click('u', 13, 'paid'),
    click('v', 20, 'cart'),
    click('v', 50, 'paid'),
  ];

  it('gives one result for each first record, at the first later one that completes it', async () => {
    expectTypeOf(collect(bought, [])).resolves.toEqualTypeOf<
      readonly { readonly user: string; readonly minutes: number }[]
    >();
    await testQuery(underTest(bought), [
      addData(given),
      checkAnswer([
        { user: 'u', minutes: 12 },
        { user: 'u', minutes: 3 },
      ]),
      checkDeadLetters([{ code: 'FUNCTION_FAILED', offset: 4 }]),
      checkLedger({ read: 9, scored: 8, deadLettered: 1 }),
    ]);
    const { runs } = await forEveryCrashPoint(underTest(bought), given);
    expect(runs).toBeGreaterThan(20);
  });
});

describe('sessions in TypeScript', () => {
  const visits = timed.pipe(
    sessionise({ gap: '30m' }),
    keyBy('user', 'session_number'),
    rolling({ seen: count().over('1d') }),
  );

  it('are known to each record at once, and to what is behind them', async () => {
    const got = await collect(visits, [
      click('u', 0, 'home'),
      click('u', 29, 'cart'),
      click('v', 30, 'home'),
      click('u', 59, 'home'),
      click('u', 60, 'cart'),
      // A session that is over: it came too late to be told which.
      click('u', 5, 'help'),
    ]);
    const row = (
      session_id: string | null,
      session_number: number | null,
      session_start: number | null,
      seen: number | null,
    ) => {
      return { session_id, session_number, session_start, seen };
    };
    expect(got).toMatchObject([
      row('u@0', 1, 0, 0),
      row('u@0', 1, 0, 1),
      row('v@1800000', 1, 1_800_000, 0),
      row('u@3540000', 2, 3_540_000, 0),
      row('u@3540000', 2, 3_540_000, 1),
      row(null, null, null, null),
    ]);
    expectTypeOf(got[0]?.session_id).toEqualTypeOf<string | null | undefined>();
  });

  it('are refused where a key would be forgotten within its session', () => {
    expect(() => sessionise({ gap: '1h', forget: '30m' })).toThrow(/must be remembered/);
  });
});
