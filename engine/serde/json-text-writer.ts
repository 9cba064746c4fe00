/** What a byte of text becomes in JSON: 0 itself, a letter for `\letter`, 1 for `\u00xx`. UTF-8 beyond ASCII stands for itself. */
const escapes: Uint8Array = new Uint8Array(256).fill(1, 0, 0x20);
for (const [letter, meaning] of ['""', '\\\\', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  escapes[meaning?.charCodeAt(0) ?? 0] = letter?.charCodeAt(0) ?? 0;
}

const hexDigits: Uint8Array = new TextEncoder().encode('0123456789abcdef');

/** How many bytes {@link writeText} may need for text of `bytes` bytes. */
export function jsonTextBytes(bytes: number): number {
  return bytes * 6 + 2;
}

/**
 * Non-zero when one of the four bytes in `word` must be escaped: a quote, a backslash or a control character. Subtracting 1 from a byte borrows into its
 * top bit only if the byte was 0, and subtracting 0x20 only if it was less; bytes beyond ASCII have that bit set already and are left out.
 */
function escapedIn(word: number): number {
  const quotes = word ^ 0x22222222;
  const backslashes = word ^ 0x5c5c5c5c;
  return (
    (((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes) | ((word - 0x20202020) & ~word)) &
    0x80808080
  );
}

/**
 * Writes UTF-8 text from `data[start, end)` as a JSON string, quotes and all, as `JSON.stringify` writes it, and gives the position after it. The views are
 * over the same bytes as the arrays, for handling four of them at once.
 */
export function writeText(
  out: Uint8Array,
  outView: DataView,
  at: number,
  data: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): number {
  let from = start;
  let to = at;
  out[to++] = 0x22;
  while (from < end) {
    while (from <= end - 4) {
      const word = view.getInt32(from, true);
      if (escapedIn(word) !== 0) break;
      outView.setInt32(to, word, true);
      from += 4;
      to += 4;
    }
    if (from >= end) break;
    const byte = data[from++] ?? 0;
    const escape = escapes[byte] ?? 0;
    if (escape === 0) {
      out[to++] = byte;
    } else {
      out[to++] = 0x5c;
      if (escape === 1) {
        out[to++] = 0x75;
        out[to++] = 0x30;
        out[to++] = 0x30;
        out[to++] = hexDigits[byte >> 4] ?? 0;
        out[to++] = hexDigits[byte & 15] ?? 0;
      } else {
        out[to++] = escape;
      }
    }
  }
  out[to++] = 0x22;
  return to;
}
