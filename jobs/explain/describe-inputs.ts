import { formatDuration } from '../../engine/time/duration.ts';
import { eventTimeLines } from './explain-event-time.ts';
import type { JoinKind } from '../../operators/join/join-definition.ts';
import type { CheckedJob, EventTimeDefinition } from '../checked-job.ts';
import type { InputDefinition, InputsPlan, JoinPlan, OneJoinPlan, TableCopyDefinition } from '../plan/inputs-plan.ts';

/** One of several inputs, as `explain` shows it. */
export interface InputDescription {
  readonly name: string;
  readonly kind: string;
  /** Of its topic, or the path of its file. */
  readonly origin: string;
  readonly format: string;
  readonly key: string;
  readonly fields: InputDefinition['schema']['fields'];
  readonly eventTime: EventTimeDefinition;
  /** What the job fills its topic from; `null` where others do. */
  readonly copyOf: TableCopyDefinition | null;
}

/** A join, as `explain` shows it. */
export interface JoinDescription {
  readonly operator: 'join';
  readonly id: string;
  readonly kind: JoinKind;
  readonly left: JoinSideDescription;
  readonly right: JoinSideDescription;
  /** A right record is a partner when its event time is within `[left − beforeMs, left + afterMs]`. */
  readonly beforeMs: number;
  readonly afterMs: number;
  readonly where: string | null;
  readonly late: CheckedJob['late'];
}

/** One side of a join. */
export interface JoinSideDescription {
  /** Its name; of what was joined before, the names of its inputs. */
  readonly input: string;
  readonly key: readonly string[];
  /** How long behind the watermark its records are kept for partners. */
  readonly retentionMs: number;
  /** What is kept of each. */
  readonly columns: number;
}

/** Describes the inputs of a job. Called by `describeJob`. */
export function describeInputs({ inputs }: InputsPlan): readonly InputDescription[] {
  return inputs.map(({ name, source, schema, copyOf }) => ({
    name,
    kind: source.kind,
    origin: source.kind === 'topic' ? source.topic : source.path,
    format: source.format,
    key: source.key,
    fields: schema.fields,
    eventTime: source.eventTime,
    copyOf,
  }));
}

/** Describes the joins of a job, in order. Called by `describeJob`. */
export function describeChain(join: JoinPlan, late: CheckedJob['late']): readonly JoinDescription[] {
  return [...join.before, join].map((one, index) => {
    const left = join.order.slice(0, index + 1).join(' and ');
    return describeJoin(one, left, join.order[index + 1] ?? '', late);
  });
}

function describeJoin(
  { definition, condition }: OneJoinPlan,
  leftName: string,
  rightName: string,
  late: CheckedJob['late'],
): JoinDescription {
  const { operatorId, kind, left, right, beforeMs, afterMs, allowedLatenessMs } = definition;
  const describe = (side: typeof left, input: string, reachMs: number): JoinSideDescription => ({
    input,
    key: side.key,
    retentionMs: reachMs + allowedLatenessMs,
    columns: side.columns.length,
  });
  return {
    operator: 'join',
    id: operatorId,
    kind,
    left: describe(left, leftName, afterMs),
    right: describe(right, rightName, beforeMs),
    beforeMs,
    afterMs,
    where: condition?.text ?? null,
    late,
  };
}

/** What is joined, in a few words. */
export function joinLabel({ kind, left, right, beforeMs, afterMs }: JoinDescription): string {
  return `${kind} join of ${left.input} and ${right.input}, ${formatDuration(beforeMs)} before to ${formatDuration(afterMs)} after`;
}

/** A union, as `explain` shows it. It has no state. */
export interface UnionDescription {
  readonly operator: 'union';
  readonly id: 'union';
  readonly inputs: readonly string[];
}

/** The inputs in lines of text. */
export function inputLines(inputs: readonly InputDescription[]): readonly string[] {
  return inputs.flatMap(({ name, kind, origin, format, key, fields, eventTime, copyOf }) => [
    `  ${name}  ${kind} ${origin}${kind === 'topic' ? `, ${format}` : ''}, keyed by ${key}`,
    `    fields  ${fields.map((field) => `${field.name} ${field.type}${field.presence === 'optional' ? '?' : ''}`).join(', ')}`,
    ...eventTimeLines(eventTime).map((line) => `    ${line}`),
    ...(copyOf === null
      ? []
      : [`    copied  from ClickHouse, every ${formatDuration(copyOf.everyMs)}: ${copyOf.query}`]),
  ]);
}

/** The operator in lines of text. */
export function joinLines(description: JoinDescription): readonly string[] {
  const { id, kind, left, right, beforeMs, afterMs, where, late } = description;
  const alone = { inner: null, left: left.input, right: right.input, full: 'either' }[kind];
  const after = late.allowedLatenessMs === 0 ? '' : ` more than ${formatDuration(late.allowedLatenessMs)}`;
  return [
    `join    ${id}  ${kind}, ${left.key.join(' + ')} = ${right.key.join(' + ')}`,
    `  partners  ${right.input} from ${formatDuration(beforeMs)} before to ${formatDuration(afterMs)} after ${left.input}${where === null ? '' : `, where ${where}`}`,
    `  results  as soon as both are there${alone === null ? '' : `; records of ${alone} without a partner once the watermark says that none can come`}`,
    '  watermark  the least of the inputs, each the least of its partitions that are not idle; an input without records holds it back until it is idle',
    ...[left, right].map(
      ({ input, retentionMs, columns }) =>
        `  state  ${columns} fields of each record of ${input}, until the watermark is more than ${formatDuration(retentionMs)} past it`,
    ),
    late.topic === null
      ? `  late records, behind the watermark by${after === '' ? ' anything' : after}, are dropped and counted`
      : `  late records, behind the watermark by${after === '' ? ' anything' : after}, go to the topic ${late.topic} and are counted`,
  ];
}
