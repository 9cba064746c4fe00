import { SluiceError } from '../error.ts';

/** A stretch of an expression's text: UTF-16 units `[start, end)`, from 0. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * One thing that is wrong with an expression. The checker collects them, so that a person sees all at once; whoever shows them turns
 * `span` into a line and column of the file that the expression stands in.
 */
export interface ExpressionProblem {
  readonly span: Span;
  /** What is wrong, without a full stop: `no field or feature is named "amonut"`. */
  readonly message: string;
  /** What would have been right: `one of amount, card_id`; `null` where the message says it. */
  readonly expected: string | null;
  /** The nearest valid name, where the problem is a name. */
  readonly nearest: string | null;
}

/** The problems of one expression as one error, for callers that have no file to point into. */
export function expressionError(text: string, problems: readonly ExpressionProblem[]): SluiceError {
  const sentences = problems.map(({ span, message, expected, nearest }) => {
    const hint = nearest === null ? '' : `; did you mean "${nearest}"?`;
    return `at column ${span.start + 1}, ${message}${expected === null ? '' : `; expected ${expected}`}${hint}`;
  });
  const first = problems[0];
  return new SluiceError(
    'EXPRESSION_INVALID',
    `could not compile the expression "${text}": ${sentences.join('. And ')}`,
    {
      fields: {
        column: (first?.span.start ?? 0) + 1,
        expected: first?.expected ?? null,
        nearest: first?.nearest ?? null,
      },
    },
  );
}
