import { strict as assert } from 'node:assert';
import { compileTextPattern } from '../expression/text-pattern.ts';
import { isValid, type Column, type NumberColumn, type Utf8Column } from '../record/column.ts';
import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { selectRows } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import type { Decoded } from './decoder.ts';
import { deadLetterOf, type Problem } from './field-finding.ts';
import type { RecordRules, ValueRule } from './record-rules.ts';

/** Whether the row's value, which is not null, breaks a rule. */
type BrokenAt = (column: Column, row: number) => boolean;

interface Check {
  readonly column: number;
  readonly field: string;
  readonly rule: ValueRule;
  readonly isBroken: BrokenAt;
}

/**
 * Holds decoded records to the rules for their values, a column at a time, and makes dead letters of those that break one. Called by a decoder with each batch
 * that it decoded. A letter names the field and the rule, never the value.
 */
export class RuleChecker {
  readonly #checks: readonly Check[];
  readonly #stageOf: (field: string) => DeadLetter['stage'];

  /**
   * @param stageOf the stage to name when this field is at fault.
   * @throws {SluiceError} `PATTERN_INVALID`.
   */
  constructor(schema: Schema, rules: RecordRules, stageOf: (field: string) => DeadLetter['stage']) {
    this.#stageOf = stageOf;
    this.#checks = rules.fields.flatMap(({ field, values }) => {
      const column = schema.indexOf(field);
      assert(column >= 0, 'rules are made with their schema');
      return values.map((rule) => ({ column, field, rule, isBroken: brokenBy(rule) }));
    });
  }

  /** The batch without the records that break a rule, which are dead letters now; both still in the order in which they came. */
  check(decoded: Decoded, messages: MessageBatch): Decoded {
    const broken = this.#brokenChecks(decoded);
    if (broken === null) return decoded;
    const { records } = decoded;
    const kept = broken.flatMap((check, row) => (check === undefined ? [row] : []));
    const deadLetters: DeadLetter[] = [];
    let row = 0;
    let letter = 0;
    // Each message is a row or a letter, and both lists are in the messages' order.
    for (let index = 0; index < messages.messageCount; index++) {
      const isRow =
        row < records.rowCount &&
        records.offsets[row] === messages.offsets[index] &&
        records.partitions[row] === messages.partitions[index];
      if (!isRow) {
        const known = decoded.deadLetters[letter++];
        assert(known !== undefined, 'a message is a record or a dead letter');
        deadLetters.push(known);
        continue;
      }
      const check = broken[row++];
      if (check === undefined) continue;
      deadLetters.push(deadLetterOf(messages, index, this.#stageOf(check.field), problemOf(check)));
    }
    return { records: selectRows(records, Int32Array.from(kept)), deadLetters };
  }

  /** By row, the first rule that it breaks, in the schema's order; `null` when none breaks any. */
  #brokenChecks({ records }: Decoded): (Check | undefined)[] | null {
    let broken: (Check | undefined)[] | null = null;
    for (const check of this.#checks) {
      const column = records.columns[check.column];
      assert(column !== undefined);
      for (let row = 0; row < records.rowCount; row++) {
        if (!isValid(column, row) || !check.isBroken(column, row)) continue;
        broken ??= new Array<Check | undefined>(records.rowCount).fill(undefined);
        broken[row] ??= check;
      }
    }
    return broken;
  }
}

function problemOf({ field, rule }: Check): Problem {
  return {
    code: 'FIELD_RULE_BROKEN',
    message: `field "${field}" must be ${wordsOf(rule)} (${rule.rule} in the schema); got a value that is not`,
  };
}

function wordsOf(rule: ValueRule): string {
  switch (rule.rule) {
    case 'minimum':
      return `at least ${rule.than}`;
    case 'maximum':
      return `at most ${rule.than}`;
    case 'exclusiveMinimum':
      return `more than ${rule.than}`;
    case 'exclusiveMaximum':
      return `less than ${rule.than}`;
    case 'minLength':
      return `at least ${rule.than} characters long`;
    case 'maxLength':
      return `at most ${rule.than} characters long`;
    case 'pattern':
      return 'text that the pattern is found in';
    case 'enum':
      return 'one of the values that are listed';
    case 'uuid':
      return 'a UUID of 36 characters';
  }
}

function brokenBy(rule: ValueRule): BrokenAt {
  switch (rule.rule) {
    case 'minimum':
      return number((value) => value < rule.than);
    case 'maximum':
      return number((value) => value > rule.than);
    case 'exclusiveMinimum':
      return number((value) => value <= rule.than);
    case 'exclusiveMaximum':
      return number((value) => value >= rule.than);
    case 'minLength':
      return utf8((column, row) => characters(column, row) < rule.than);
    case 'maxLength':
      return utf8((column, row) => characters(column, row) > rule.than);
    case 'pattern': {
      const isFound = compileTextPattern(rule.pattern);
      return text((value) => !isFound(value));
    }
    case 'enum': {
      if (rule.values.every((value) => typeof value === 'string')) {
        const texts: ReadonlySet<string> = new Set(rule.values);
        return text((value) => !texts.has(value));
      }
      const numbers = new Set(rule.values.map(Number));
      return number((value) => !numbers.has(value));
    }
    case 'uuid':
      return text((value) => !/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(value));
  }
}

function number(isBroken: (value: number) => boolean): BrokenAt {
  return (column, row) => isBroken((column as NumberColumn).values[row] ?? NaN);
}

function utf8(isBroken: (column: Utf8Column, row: number) => boolean): BrokenAt {
  return (column, row) => isBroken(column as Utf8Column, row);
}

function text(isBroken: (value: string) => boolean): BrokenAt {
  return utf8(({ data, offsets }, row) => {
    const start = offsets[row] ?? 0;
    return isBroken(Buffer.from(data.buffer, data.byteOffset + start, (offsets[row + 1] ?? 0) - start).toString());
  });
}

/** How many Unicode characters a text has: its bytes but those that continue one. */
function characters({ data, offsets }: Utf8Column, row: number): number {
  let count = 0;
  const end = offsets[row + 1] ?? 0;
  for (let at = offsets[row] ?? 0; at < end; at++) if (((data[at] ?? 0) & 0xc0) !== 0x80) count++;
  return count;
}
