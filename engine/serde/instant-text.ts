const dayMs = 86_400_000;

const NOT_AN_INSTANT = Number.NaN;

/**
 * Reads an ISO 8601 instant, as RFC 3339 profiles it, from ASCII bytes: `2026-11-22T09:30:00Z`, `2026-11-22 09:30:00.125+01:00`. The offset may also be
 * `±hhmm` or `±hh`; a fraction may have any number of digits, of which those beyond milliseconds are cut off (towards the past, so that an
 * instant never moves into the next window).
 *
 * Text without an offset is refused, since it names no instant; so are dates alone, days that the (proleptic Gregorian) calendar has not, and second 60.
 *
 * @returns whole milliseconds since the epoch, UTC, or NaN.
 */
export function readInstant(data: Uint8Array, start: number, end: number): number {
  if (end - start < 20) return NOT_AN_INSTANT;
  const year = digits(data, start, 4);
  const month = digits(data, start + 5, 2);
  const day = digits(data, start + 8, 2);
  const hour = digits(data, start + 11, 2);
  const minute = digits(data, start + 14, 2);
  const second = digits(data, start + 17, 2);
  const divider = data[start + 10];
  if (
    data[start + 4] !== 0x2d ||
    data[start + 7] !== 0x2d ||
    (divider !== 0x54 && divider !== 0x74 && divider !== 0x20) ||
    data[start + 13] !== 0x3a ||
    data[start + 16] !== 0x3a
  ) {
    return NOT_AN_INSTANT;
  }
  if (year < 0 || month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return NOT_AN_INSTANT;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return NOT_AN_INSTANT;
  let at = start + 19;
  let fractionMs = 0;
  if (data[at] === 0x2e || data[at] === 0x2c) {
    const first = ++at;
    let unitMs = 100;
    while (at < end && isDigit(data[at] ?? 0)) {
      fractionMs += ((data[at] ?? 0) - 0x30) * unitMs;
      // 100, 10, 1, then 0: digits beyond milliseconds count for nothing.
      unitMs = unitMs === 1 ? 0 : unitMs / 10;
      at++;
    }
    if (at === first) return NOT_AN_INSTANT;
  }
  const offsetMs = readOffset(data, at, end);
  return daysFromCivil(year, month, day) * dayMs + (hour * 3600 + minute * 60 + second) * 1000 + fractionMs - offsetMs;
}

/** The longest text that {@link writeInstant} writes, in bytes. */
export const INSTANT_TEXT_BYTES = 27;

/**
 * Writes an instant as `Date.prototype.toISOString` does (`2026-11-22T09:30:00.125Z`; six-digit years with a sign beyond 0 to 9999) and
 * gives the position after it. `instantMs` must be whole and within ±8.64e15, the range of ECMAScript's dates.
 */
export function writeInstant(out: Uint8Array, at: number, instantMs: number): number {
  const days = Math.floor(instantMs / dayMs);
  const msOfDay = instantMs - days * dayMs;
  // Days to civil date, from 0000-03-01 in eras of 400 years; the inverse of daysFromCivil below.
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  let to = at;
  if (year >= 0 && year <= 9999) {
    to = writeDigits(out, to, year, 4);
  } else {
    out[to++] = year < 0 ? 0x2d : 0x2b;
    to = writeDigits(out, to, Math.abs(year), 6);
  }
  out[to++] = 0x2d;
  to = writeDigits(out, to, month, 2);
  out[to++] = 0x2d;
  to = writeDigits(out, to, day, 2);
  out[to++] = 0x54;
  to = writeDigits(out, to, Math.floor(msOfDay / 3_600_000), 2);
  out[to++] = 0x3a;
  to = writeDigits(out, to, Math.floor(msOfDay / 60_000) % 60, 2);
  out[to++] = 0x3a;
  to = writeDigits(out, to, Math.floor(msOfDay / 1000) % 60, 2);
  out[to++] = 0x2e;
  to = writeDigits(out, to, msOfDay % 1000, 3);
  out[to++] = 0x5a;
  return to;
}

/** `Z`, `±hh:mm`, `±hhmm` or `±hh` as the whole of `data[at, end)`, in milliseconds; NaN for anything else. */
function readOffset(data: Uint8Array, at: number, end: number): number {
  const sign = data[at];
  const length = end - at;
  if (length === 1) return sign === 0x5a || sign === 0x7a ? 0 : NOT_AN_INSTANT;
  if ((sign !== 0x2b && sign !== 0x2d) || (length !== 6 && length !== 5 && length !== 3)) return NOT_AN_INSTANT;
  if (length === 6 && data[at + 3] !== 0x3a) return NOT_AN_INSTANT;
  const hours = digits(data, at + 1, 2);
  const minutes = length === 3 ? 0 : digits(data, end - 2, 2);
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return NOT_AN_INSTANT;
  const offsetMs = (hours * 60 + minutes) * 60_000;
  return sign === 0x2d ? -offsetMs : offsetMs;
}

/** The number written in `count` digits from `at` on; -1 when one of the bytes is no digit. */
function digits(data: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let i = at; i < at + count; i++) {
    const byte = data[i] ?? 0;
    if (!isDigit(byte)) return -1;
    value = value * 10 + (byte - 0x30);
  }
  return value;
}

function writeDigits(out: Uint8Array, at: number, value: number, count: number): number {
  let rest = value;
  for (let i = at + count - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10);
    out[i] = 0x30 + (rest - tenth * 10);
    rest = tenth;
  }
  return at + count;
}

/** Days from 1970-01-01 to a date of the proleptic Gregorian calendar, counting years from March so that the leap day comes last. */
function daysFromCivil(year: number, month: number, day: number): number {
  const marchYear = month <= 2 ? year - 1 : year;
  const era = Math.floor(marchYear / 400);
  const yearOfEra = marchYear - era * 400;
  const dayOfYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1;
  return (
    era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
  );
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
