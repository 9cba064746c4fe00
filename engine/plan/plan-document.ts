import { isMap, isPair, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node } from 'yaml';
import type { Diagnostic, DiagnosticCode } from './diagnostic.ts';

/** Where in a document: keys and indices from the top, as zod's issues have them. */
export type DocumentPath = readonly (string | number)[];

/** A stretch of a document's text, UTF-16 units `[start, end)`. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

/** What to say about a place in a document. */
export interface Finding {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly expected?: string | null;
  readonly nearest?: string | null;
}

/** Job files are written by people; a larger one is a mistake or an attack. */
const largestFileBytes = 1_048_576;
/** An alias repeats a value; more repetitions than this are an attack (the "billion laughs"). */
const mostAliases = 32;

/**
 * A YAML 1.2 file as plain data that remembers where each key and value stands. Made once per file while a job is checked.
 * Anchors and aliases work, within bounds; tags and several documents in one file do not.
 */
export class PlanDocument {
  readonly file: string;
  readonly text: string;
  /** The document as plain data; `undefined` where the syntax is broken. */
  readonly value: unknown;
  /** Syntax errors, duplicate keys and exceeded bounds, all of them. */
  readonly diagnostics: readonly Diagnostic[];
  readonly #document: Document;
  readonly #lines = new LineCounter();

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
    if (text.length > largestFileBytes) {
      const message = `the file must be at most ${largestFileBytes} characters; it has ${text.length}`;
      this.#document = parseDocument('');
      this.diagnostics = [this.at({ start: 0, end: 1 }, { code: 'YAML_SYNTAX', message })];
      return;
    }
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, version: '1.2' });
    const problems = [...this.#document.errors, ...this.#document.warnings].map(({ code, message, pos }) =>
      this.at(
        { start: pos[0], end: pos[1] },
        { code: code === 'DUPLICATE_KEY' ? 'KEY_DUPLICATE' : 'YAML_SYNTAX', message: sentence(code, message) },
      ),
    );
    if (problems.length === 0) {
      try {
        this.value = this.#document.toJS({ maxAliasCount: mostAliases }) as unknown;
      } catch (error) {
        // What the parser itself refuses while it resolves aliases: too many, or one without an anchor.
        if (!(error instanceof ReferenceError)) throw error;
        problems.push(this.at({ start: 0, end: 1 }, { code: 'YAML_SYNTAX', message: sentence('', error.message) }));
      }
    }
    this.diagnostics = problems;
  }

  /** A finding about the value at `path`, or about the nearest thing around it that is there. */
  atValue(path: DocumentPath, finding: Finding): Diagnostic {
    return this.at(this.valueRange(path), finding);
  }

  /** A finding about the key at the end of `path`, or about the nearest thing around it that is there. */
  atKey(path: DocumentPath, finding: Finding): Diagnostic {
    return this.at(this.keyRange(path), finding);
  }

  /** A finding about a stretch of the text that the string at `path` holds, such as a part of an expression. */
  atPartOfValue(path: DocumentPath, part: TextRange, finding: Finding): Diagnostic {
    const range = this.valueRange(path);
    const node = this.#nodeAt(path);
    const written = isScalar(node) && typeof node.value === 'string' ? node.value : null;
    const inner = written === null ? -1 : this.text.indexOf(written, range.start);
    // Escapes and folded lines make the text differ from the value; then the whole value is pointed at.
    const isVerbatim = written !== null && inner >= 0 && inner + written.length <= range.end;
    return this.at(isVerbatim ? { start: inner + part.start, end: inner + part.end } : range, finding);
  }

  /** A finding about a stretch of the file's text. */
  at(range: TextRange, finding: Finding): Diagnostic {
    const { line, col } = this.#lines.linePos(range.start);
    const lineEnd = this.text.indexOf('\n', range.start);
    const end = Math.min(range.end, lineEnd < 0 ? this.text.length : lineEnd);
    return {
      code: finding.code,
      file: this.file,
      line: Math.max(1, line),
      column: Math.max(1, col),
      length: Math.max(1, end - range.start),
      message: finding.message,
      expected: finding.expected ?? null,
      nearest: finding.nearest ?? null,
    };
  }

  /** Where the value at `path` stands; for one that is not there, the key before it, or the value around it. */
  valueRange(path: DocumentPath): TextRange {
    const node = this.#nodeAt(path);
    if (node?.range) return { start: node.range[0], end: Math.max(node.range[1], node.range[0] + 1) };
    return path.length === 0 ? { start: 0, end: 1 } : this.keyRange(path);
  }

  /** Where the key at the end of `path` stands; for one that is not there, the key (or the value) around it. */
  keyRange(path: DocumentPath): TextRange {
    const last = path.at(-1);
    const around = path.slice(0, -1);
    if (last === undefined) return { start: 0, end: 1 };
    if (typeof last === 'number') return this.#nodeAt(path) === null ? this.keyRange(around) : this.valueRange(path);
    const parent = this.#nodeAt(around);
    const pair = isMap(parent)
      ? parent.items.find((item) => isPair(item) && isScalar(item.key) && String(item.key.value) === last)
      : undefined;
    const key = pair?.key;
    if (isScalar(key) && key.range) return { start: key.range[0], end: key.range[1] };
    return around.length === 0 ? { start: 0, end: 1 } : this.keyRange(around);
  }

  #nodeAt(path: DocumentPath): Node | null {
    let node: unknown = this.#document.contents;
    for (const step of path) {
      node = isMap(node) || isSeq(node) ? node.get(step, true) : null;
    }
    return isMap(node) || isSeq(node) || isScalar(node) ? node : null;
  }
}

/** The parser's message in our form; some of its sentences speak of its own functions. */
function sentence(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key is here twice';
  if (code === 'MULTIPLE_DOCS') return 'a file must hold one document; here a second one begins';
  if (code === 'RESOURCE_EXHAUSTION') return 'the values are nested too deeply';
  if (code === 'TAG_RESOLVE_FAILED') return 'tags ("!") have no use here';
  if (message.startsWith('Excessive alias count'))
    return `a file must repeat values by alias at most ${mostAliases} times`;
  return message.charAt(0).toLowerCase() + message.slice(1).replace(/\.$/, '');
}
