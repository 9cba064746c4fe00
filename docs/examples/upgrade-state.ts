// State of one's own, in its second version: what was stored by the first is made into it, so that the job goes on.
import { collect, jsonState, keyBy, processKeyed, topic, withWatermark } from '../../operators/typed/index.ts';

const logins = topic('logins', { user: 'string', at: 'timestamp', country: 'string' }, { key: 'user' });

/** Version 1 kept the last country alone, as a text. */
interface Seen {
  readonly countries: readonly string[];
}

const fromNewCountry = logins.pipe(
  withWatermark('at', '1m'),
  keyBy('user'),
  processKeyed({
    output: { country: 'string', known: 'long' },
    state: jsonState<Seen>({ version: 2, upgrade: (earlier) => ({ countries: [String(earlier)] }) }),
    ttl: '90d',
    onRecord: ({ country }, { state, emit }) => {
      const known = state.get()?.countries ?? [];
      if (known.includes(country)) return;
      if (known.length > 0) emit({ country, known: known.length });
      state.set({ countries: [...known, country] });
    },
  }),
);

const hour = (n: number): number => Date.UTC(2026, 10, 22, n);
const found = await collect(fromNewCountry, [
  { user: 'ann', at: hour(1), country: 'NO' },
  { user: 'ann', at: hour(2), country: 'NO' },
  { user: 'ann', at: hour(3), country: 'BR' },
  { user: 'bob', at: hour(4), country: 'BR' },
  { user: 'ann', at: hour(5), country: 'BR' },
]);
console.log(found);

/* prints
[ { user: 'ann', country: 'BR', known: 1 } ]
*/
