import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { checkShape } from './check-shape.ts';
import type { Diagnostic } from './diagnostic.ts';
import { durationText } from './duration-text.ts';
import { PlanDocument } from './plan-document.ts';

const schema = z.strictObject({
  job: z.string().min(1),
  every: durationText('positive').optional(),
  guarantee: z.enum(['exactly-once', 'at-least-once']).optional(),
  source: z.strictObject({ topic: z.string(), partitions: z.int().positive().optional() }).optional(),
  sinks: z.array(z.strictObject({ topic: z.string() })).optional(),
  late: z.union([z.literal('drop'), z.strictObject({ topic: z.string() })]).optional(),
});

function check(text: string): {
  value: unknown;
  found: Pick<Diagnostic, 'code' | 'line' | 'column' | 'message' | 'expected' | 'nearest'>[];
} {
  const diagnostics: Diagnostic[] = [];
  const document = new PlanDocument('job.yaml', text);
  const value = checkShape(document, [], schema, diagnostics);
  const found = diagnostics.map(({ code, line, column, message, expected, nearest }) => {
    return { code, line, column, message, expected, nearest };
  });
  return { value, found };
}

describe('checkShape', () => {
  it('gives the value where all is well', () => {
    expect(check('job: a\nevery: 1h30m\n').value).toEqual({ job: 'a', every: 5_400_000 });
  });

  it('points at an unknown key and names the nearest', () => {
    expect(check('job: a\nsource:\n  topci: t\n  topic: t\n').found).toEqual([
      {
        code: 'KEY_UNKNOWN',
        line: 3,
        column: 3,
        message: '"topci" is not a key that stands here',
        expected: 'one of topic, partitions',
        nearest: 'topic',
      },
    ]);
  });

  it('points at what should have held a missing key', () => {
    expect(check('job: a\nsource:\n  partitions: 3\n').found).toMatchObject([
      { code: 'KEY_MISSING', line: 2, column: 1, message: '"topic" is missing', expected: 'text' },
    ]);
  });

  it('reports everything at once, each at its own line', () => {
    const { found } = check('job: 3\nevery: soon\nguarantee: exactly-onse\nsinks:\n  - topic: t\n  - tpoic: t\n');
    expect(found.map(({ line, column, code, nearest }) => [line, column, code, nearest])).toEqual([
      [1, 6, 'TYPE_WRONG', null],
      [2, 8, 'VALUE_WRONG', null],
      [3, 12, 'VALUE_WRONG', 'exactly-once'],
      [6, 5, 'KEY_MISSING', null],
      [6, 5, 'KEY_UNKNOWN', 'topic'],
    ]);
  });

  it('says of a duration what one looks like', () => {
    expect(check('job: a\nevery: 7 days\n').found[0]).toMatchObject({
      message: '"7 days" is no duration',
      expected: 'a duration such as 30s, 1h30m or 7d',
    });
    expect(check('job: a\nevery: 0s\n').found[0]).toMatchObject({ expected: 'more than 0s' });
    expect(check('job: a\nevery: 7\n').found[0]).toMatchObject({ message: '"every" is 7' });
  });

  it('follows the alternative that was meant', () => {
    expect(check('job: a\nlate: { tpic: x }\n').found.map(({ code }) => code)).toEqual(['KEY_MISSING', 'KEY_UNKNOWN']);
    expect(check('job: a\nlate: 3\n').found).toMatchObject([{ code: 'TYPE_WRONG', expected: 'drop, or a mapping' }]);
  });

  it('names bounds', () => {
    expect(check('job: ""\nsource: { topic: t, partitions: 0 }\n').found).toMatchObject([
      { message: '"job" is ""', expected: 'at least 1 characters' },
      { message: '"partitions" is 0', expected: 'more than 0' },
    ]);
  });

  it('says so when the document is empty', () => {
    expect(check('').found).toMatchObject([
      { line: 1, column: 1, message: 'the document is empty', expected: 'a mapping' },
    ]);
  });
});
