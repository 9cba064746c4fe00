import { createHash } from 'node:crypto';
import { rowNumbers } from './pick-rows.ts';
import { handbookStartMs, type HandbookTransactions } from './transactions.ts';

/** {@link handbookIdentity} of the published data. */
export const publishedHandbookIdentity = 'e8b474a8a7a962aa75363298aca64cd017a89d2a56c65839a7be58a706d24b8f';

const flushBytes = 1 << 20;
const longestLineBytes = 100;
const [zero, comma, dot, newline] = [0x30, 0x2c, 0x2e, 0x0a];

/**
 * The SHA-256, in hex, of the transactions as lines `seconds,customer,terminal,amount,fraud,scenario\n`, seconds counted from the stream's start and
 * amounts with two decimals, sorted by the first four: a fingerprint that does not depend on ids or on the order of ties. The
 * test and `sluice simulate --handbook` compare it with {@link publishedHandbookIdentity}.
 *
 * @param transactions ascending by time.
 */
export function handbookIdentity(transactions: HandbookTransactions): string {
  const { eventTimeMs, customerId, terminalId, amount, fraud, fraudScenario } = transactions;
  const order = rowNumbers(eventTimeMs.length);
  for (let first = 0; first < order.length;) {
    let end = first + 1;
    while (end < order.length && eventTimeMs[end] === eventTimeMs[first]) end++;
    if (end - first > 1) {
      order
        .subarray(first, end)
        .sort(
          (a, b) =>
            (customerId[a] ?? 0) - (customerId[b] ?? 0) ||
            (terminalId[a] ?? 0) - (terminalId[b] ?? 0) ||
            (amount[a] ?? 0) - (amount[b] ?? 0),
        );
    }
    first = end;
  }
  const hash = createHash('sha256');
  const lines = new Uint8Array(flushBytes);
  let end = 0;
  for (const row of order) {
    if (end > flushBytes - longestLineBytes) {
      hash.update(lines.subarray(0, end));
      end = 0;
    }
    end = writeInteger(lines, end, ((eventTimeMs[row] ?? 0) - handbookStartMs) / 1_000, comma);
    end = writeInteger(lines, end, customerId[row] ?? 0, comma);
    end = writeInteger(lines, end, terminalId[row] ?? 0, comma);
    const cents = Math.round((amount[row] ?? 0) * 100);
    end = writeInteger(lines, end, Math.floor(cents / 100), dot);
    lines[end++] = zero + (Math.floor(cents / 10) % 10);
    lines[end++] = zero + (cents % 10);
    lines[end++] = comma;
    end = writeInteger(lines, end, fraud[row] ?? 0, comma);
    end = writeInteger(lines, end, fraudScenario[row] ?? 0, newline);
  }
  return hash.update(lines.subarray(0, end)).digest('hex');
}

/** Writes a whole number and one byte after it at `start`; gives where the next thing goes. */
function writeInteger(target: Uint8Array, start: number, value: number, after: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit; limit *= 10) digits++;
  let rest = value;
  for (let place = start + digits - 1; place >= start; place--) {
    const next = Math.floor(rest / 10);
    target[place] = zero + rest - next * 10;
    rest = next;
  }
  target[start + digits] = after;
  return start + digits + 1;
}
