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

/** Writes UTF-8 text from `data[start, end)` as a JSON string, quotes and all, as `JSON.stringify` writes it, and gives the position after it. */
export function writeText(out: Uint8Array, at: number, data: Uint8Array, start: number, end: number): number {
  let to = at;
  out[to++] = 0x22;
  for (let from = start; from < end; from++) {
    const byte = data[from] ?? 0;
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
