import type { InputFile } from './input-file.ts';

/** The position after the UTF-8 byte order mark that some programs write at the start of text files, or 0. */
export async function positionAfterByteOrderMark(file: InputFile): Promise<number> {
  if (file.sizeBytes < 3) return 0;
  const [first, second, third] = await file.read(0, 3);
  return first === 0xef && second === 0xbb && third === 0xbf ? 3 : 0;
}
