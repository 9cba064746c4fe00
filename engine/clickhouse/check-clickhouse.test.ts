import { describe, expect, it } from 'vitest';
import { isNewEnough } from './check-clickhouse.ts';

describe("ClickHouse's release", () => {
  it.each(['24.8.1.2', '24.12.3', '25.1.1', '26.7.5.10'])('may be %s', (version) => {
    expect(isNewEnough(version)).toBe(true);
  });

  it.each(['24.7.6.8', '23.12.1', '8.24.1', ''])('must not be %s', (version) => {
    expect(isNewEnough(version)).toBe(false);
  });
});
