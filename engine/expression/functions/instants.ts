import { parseDuration } from '../../time/duration.ts';
import { SluiceError } from '../../error.ts';
import { numberColumn } from '../../record/column.ts';
import { unary } from '../number-loops.ts';
import { argument, type Overload } from '../overload.ts';
import { type TypedNode } from '../typed-node.ts';

const dayMs = 86_400_000;
const hourMs = 3_600_000;

/** The hour of the day in UTC, 0 to 23. */
const hour: Overload = {
  parameters: ['timestamp'],
  result: 'long',
  build: unary((a, out) => {
    for (let row = 0; row < out.length; row++) {
      const instant = a[row] ?? 0;
      out[row] = Math.floor((instant - Math.floor(instant / dayMs) * dayMs) / hourMs);
    }
  }, 'finite'),
  sql: ([a]) => `toFloat64(positiveModulo(toInt64(floor(${a} / ${hourMs})), 24))`,
};

/** The day of the week in UTC, 0 Sunday to 6 Saturday. Day 0 of the epoch was a Thursday. */
const dayOfWeek: Overload = {
  parameters: ['timestamp'],
  result: 'long',
  build: unary((a, out) => {
    for (let row = 0; row < out.length; row++) {
      const day = Math.floor((a[row] ?? 0) / dayMs) + 4;
      out[row] = day - Math.floor(day / 7) * 7;
    }
  }, 'finite'),
  sql: ([a]) => `toFloat64(positiveModulo(toInt64(floor(${a} / ${dayMs})) + 4, 7))`,
};

/** Seconds since midnight UTC, with the milliseconds as a fraction. */
const secondOfDay: Overload = {
  parameters: ['timestamp'],
  result: 'double',
  build: unary((a, out) => {
    for (let row = 0; row < out.length; row++) {
      const instant = a[row] ?? 0;
      out[row] = (instant - Math.floor(instant / dayMs) * dayMs) / 1_000;
    }
  }, 'finite'),
  sql: ([a]) => `(positiveModulo(toInt64(${a}), ${dayMs}) / 1000)`,
};

function text(nodes: readonly TypedNode[]): string {
  return String(argument(nodes, 0).constant?.value);
}

/** A written instant, `timestamp("2018-04-01T00:00:00Z")`: ISO 8601 with an offset. */
const timestamp: Overload = {
  parameters: ['text'],
  result: 'timestamp',
  refuse: (nodes) => {
    const written = text(nodes);
    const hasOffset = /T.*(?:Z|[+-]\d\d:\d\d)$/.test(written);
    if (hasOffset && !Number.isNaN(Date.parse(written))) return null;
    const expected = 'an instant with its offset from UTC, such as "2018-04-01T00:00:00Z"';
    return { span: argument(nodes, 0).span, message: `"${written}" is no instant`, expected, nearest: null };
  },
  build: (nodes) => {
    const instantMs = Date.parse(text(nodes));
    return (batch) => numberColumn(new Float64Array(batch.rowCount).fill(instantMs));
  },
  sql: (_, nodes) => `${Date.parse(text(nodes))}.0`,
};

/** A written duration in milliseconds, `duration("7d")`, to compare the difference of two instants with. */
const duration: Overload = {
  parameters: ['text'],
  result: 'long',
  refuse: (nodes) => {
    try {
      parseDuration(text(nodes));
      return null;
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error;
      const expected = 'whole numbers with units, such as "7d" or "1h30m"';
      return { span: argument(nodes, 0).span, message: `"${text(nodes)}" is no duration`, expected, nearest: null };
    }
  },
  build: (nodes) => {
    const durationMs = parseDuration(text(nodes));
    return (batch) => numberColumn(new Float64Array(batch.rowCount).fill(durationMs));
  },
  sql: (_, nodes) => `${parseDuration(text(nodes))}.0`,
};

/** Functions of instants, all in UTC. `getHours` and `getDayOfWeek` are CEL's names for the first two. */
export const instants: Readonly<Record<string, readonly Overload[]>> = {
  hour: [hour],
  getHours: [hour],
  dayOfWeek: [dayOfWeek],
  getDayOfWeek: [dayOfWeek],
  secondOfDay: [secondOfDay],
  timestamp: [timestamp],
  duration: [duration],
};
