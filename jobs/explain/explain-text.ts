import { formatDuration } from '../../engine/time/duration.ts';
import { paneLines } from './describe-panes.ts';
import type {
  DedupeDescription,
  DeriveDescription,
  JobDescription,
  ModelDescription,
  OperatorDescription,
  RollingDescription,
  ScanDescription,
  WalkDescription,
} from './describe-job.ts';
import { amendLines } from './describe-amendments.ts';
import { enrichLines } from './describe-enrich.ts';
import { inputLines, joinLines } from './describe-inputs.ts';
import { patternLines, recordLines, sessionLines } from './describe-patterns.ts';
import { windowLines } from './describe-windows.ts';
import { eventTimeLines } from './explain-event-time.ts';
import { ruleLabels, sinkLabel, storedLabel } from './explain-labels.ts';

/** How wide a line may get before a list goes on in the next. */
const widthColumns = 110;
/** For how many rows the bytes of a key are worked out as an example. */
const exampleRows = 100;

/** A plan for a person to read, from the source at the top to the sinks at the bottom. */
export function explainText(description: JobDescription): string {
  const { job, file, digest, guarantee, operators, model, sinks, state, features } = description;
  const stateText = state.flushEveryMs === 0 ? 'with every batch' : `every ${formatDuration(state.flushEveryMs)}`;
  const sections = [
    [`job ${job}`, `  ${file} · ${guarantee} · digest ${short(digest)}`],
    sourceSection(description),
    ...operators.map(operatorSection),
    model === null ? [] : modelSection(model),
    ['commit', `  results, positions and dead letters in one transaction; state ${stateText}`],
    stagesSection(description),
    ['sinks', ...sinks.map((sink) => `  ${sinkLabel(sink)}`)],
    [`${features.count} feature columns, digest ${short(features.digest)}`],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function sourceSection({ source, trigger }: JobDescription): readonly string[] {
  if (source.inputs.length > 0) return inputsSection(source, trigger);
  const { kind, name, format, key, fields, rules, eventTime, late, deadLetters } = source;
  const form = kind === 'topic' ? `, ${format}` : '';
  const latest = formatDuration(eventTime.delayMs + late.allowedLatenessMs);
  const bad =
    deadLetters.policy === 'fail' ? 'stop the job' : `go to the topic ${deadLetters.topic}, ${deadLetters.format}`;
  return [
    `source  ${kind} ${name}${form}, keyed by ${key}`,
    ...wrap(
      '  fields  ',
      fields.map((field) => `${field.name} ${field.type}${field.presence === 'optional' ? '?' : ''}`),
    ),
    ...(rules === null ? [] : wrap('  rules  ', ruleLabels(rules))),
    ...eventTimeLines(eventTime).map((line) => `  ${line}`),
    ...(late.policy === 'answer'
      ? [`  answers are exact for records up to ${latest} behind it; later ones are answered and flagged`]
      : []),
    `  bad records ${bad}`,
    ...triggerLines(trigger),
  ];
}

/** Of a job of several inputs: each of them. */
function inputsSection(
  { inputs, deadLetters }: JobDescription['source'],
  trigger: JobDescription['trigger'],
): readonly string[] {
  const bad =
    deadLetters.policy === 'fail' ? 'stop the job' : `go to the topic ${deadLetters.topic}, ${deadLetters.format}`;
  return ['sources', ...inputLines(inputs), `  bad records ${bad}`, ...triggerLines(trigger)];
}

/** Nothing for a job of one stage, which is the same on a cluster. */
function stagesSection({ stages, source }: JobDescription): readonly string[] {
  if (stages.length === 1) return [];
  return [
    `on a cluster  ${count(stages.length, 'stage')}, each a consumer group, with state by partition`,
    ...stages.flatMap(({ group, reads, key, operators, holdMs, exchange }, index) => [
      `  ${index + 1}  ${group}  reads ${reads}, keyed by ${key.join(' + ')}`,
      ...wrap('     computes  ', operators.length === 0 ? ['nothing, and passes records on'] : operators),
      ...(holdMs === null
        ? []
        : [
            '     closes windows by what all tasks that write to it have passed; one that was never heard from holds them back',
            `     until others are ${formatDuration(holdMs)} ahead`,
          ]),
      exchange === null
        ? `     writes the results; those of one ${source.key} may come in another order than its records`
        : `     writes ${exchange.topic}, ${exchange.key.length === 0 ? 'all of it to every partition' : `keyed by ${exchange.key.join(' + ')}`}` +
          (exchange.partitions === null ? '' : `, ${count(exchange.partitions, 'partition')}`),
    ]),
  ];
}

/** When records are read; nothing where it is as soon as they are there. */
function triggerLines({ kind, everyMs, maxOffsetsPerTrigger }: JobDescription['trigger']): readonly string[] {
  const limit = maxOffsetsPerTrigger === null ? '' : `, at most ${maxOffsetsPerTrigger} at once, split by lag`;
  if (kind === 'realtime') return limit === '' ? [] : [`  read as soon as they are there${limit}`];
  if (kind === 'processingTime') return [`  read every ${formatDuration(everyMs)}${limit}`];
  return [`  reads what is there at the start (${kind})${limit}, and ends`];
}

function operatorSection(operator: OperatorDescription): readonly string[] {
  switch (operator.operator) {
    case 'dedupe':
      return dedupeSection(operator);
    case 'derive':
      return deriveSection(operator);
    case 'rolling':
      return rollingSection(operator);
    case 'window':
      return windowLines(operator);
    case 'join':
      return joinLines(operator);
    case 'enrich':
      return enrichLines(operator);
    case 'union':
      return [`union   ${operator.inputs.join(', ')}, in the order in which they are read; no state`];
    case 'records':
      return recordLines(operator);
    case 'sessions':
      return sessionLines(operator);
    case 'pattern':
      return patternLines(operator);
    case 'amend':
      return amendLines(operator);
  }
}

function dedupeSection({ id, by, withinMs, bytes }: DedupeDescription): readonly string[] {
  const isForEver = withinMs === Infinity;
  const within = isForEver ? '' : formatDuration(withinMs);
  return [
    `dedupe  ${id}`,
    `  drops a record whose ${by} came before${isForEver ? '' : `, less than ${within} of event time away`}`,
    `  state  ${bytes.perRecord} bytes + the ${by}, for each record ${isForEver ? 'that there ever was: unbounded, in memory, too' : `of the last ${within}`}`,
  ];
}

function deriveSection({ columns }: DeriveDescription): readonly string[] {
  const name = columns.reduce((longest, column) => Math.max(longest, column.name.length), 0);
  return [
    'derive  no state',
    ...columns.map((column) => {
      const isAnonymous = column.name.startsWith('(');
      return isAnonymous ? `  ${column.name}` : `  ${column.name.padEnd(name)}  = ${column.expression}`;
    }),
  ];
}

function rollingSection(operator: RollingDescription): readonly string[] {
  const { id, key, order, stored, panes, bytes, retentionMs, reachMs, scans } = operator;
  const outputs = scans.flatMap(({ walks }) => walks.flatMap(({ features }) => features));
  const walkCount = scans.reduce((sum, { walks }) => sum + walks.length, 0);
  const example = panes?.bytesPerFullKey ?? bytes.perKey + exampleRows * bytes.perRow;
  const exampleText = panes === null ? `${exampleRows} rows` : 'all panes';
  const lateness = retentionMs - reachMs;
  const allowed = lateness === 0 ? '' : `, ${formatDuration(lateness)} of them for late records`;
  const orderText =
    order === 'input'
      ? 'that of the input: all records of one key are in one partition'
      : `recorded by the commit: records of one ${key.join(' + ')} come from several partitions`;
  return [
    `rolling ${id}  one state for each ${key.join(' + ')}`,
    `  order  ${orderText}`,
    ...wrap(
      '  state  ',
      ['event time', ...stored.map(storedLabel)],
      ` ${panes === null ? 'of each record' : 'in panes'}, for ${formatDuration(retentionMs)}${allowed}`,
    ),
    ...(panes === null ? [] : paneLines(panes)),
    `  bytes  ${bytes.formula} a key; ${(example / 1024).toFixed(1)} KiB for ${exampleText}; in memory, room for a power of two of rows`,
    `  ${count(outputs.length, 'column')} from ${count(scans.length, 'search', 'es')} and ${count(walkCount, 'walk')}`,
    ...scans.flatMap(scanLines),
  ];
}

function scanLines({ delayMs, current, walks }: ScanDescription): readonly string[] {
  const end =
    delayMs > 0
      ? `as known ${formatDuration(delayMs)} before the record`
      : `${current === 'include' ? 'with' : 'without'} the record itself`;
  const heads = walks.map(walkLabel);
  const width = Math.min(
    44,
    heads.reduce((longest, head) => Math.max(longest, head.length), 0),
  );
  return [
    `    ${end}`,
    ...walks.flatMap(({ features }, index) =>
      wrap(
        `      ${(heads[index] ?? '').padEnd(width)}  → `,
        features.map(({ name, overMs }) => `${name} (${formatDuration(overMs)})`),
      ),
    ),
  ];
}

function walkLabel({ function: name, input, where }: WalkDescription): string {
  const of = input === null ? '' : ` of ${input}`;
  return `${name}${of}${where === null ? '' : ` where ${where}`}`;
}

function modelSection({ reference, threshold, reasons, inputsFrom, inputs }: ModelDescription): readonly string[] {
  const width = inputs.reduce((longest, { name }) => Math.max(longest, name.length), 0);
  const flagged = threshold === 'model' ? "the model's own threshold" : `probability ${threshold}`;
  const intro =
    inputsFrom === 'manifest'
      ? `  is given ${count(inputs.length, 'number')}, in this order`
      : `  can be given these ${inputs.length}, and numeric fields of the record; which, and in what order, its manifest says`;
  return [
    `model   ${reference}, flags from ${flagged} on`,
    ...(reasons === 0 ? [] : [`  an alert carries ${count(reasons, 'reason')}: the features that spoke for it most`]),
    intro,
    '  a null is given as NaN, "missing", where nothing else is said',
    ...inputs.map(({ name, whenNull, order }, index) => {
      const marks = [
        ...(whenNull === null ? [] : [`null becomes ${whenNull}`]),
        ...(order === 'commit' ? ['order recorded by the commit'] : []),
      ];
      return `  ${String(index + 1).padStart(4)}  ${name.padEnd(width)}  ${marks.join(', ')}`.trimEnd();
    }),
  ];
}

/** A list after some text, broken into lines that go on under its first item. */
function wrap(head: string, items: readonly string[], end = ''): readonly string[] {
  const lines: string[] = [];
  let line = head;
  items.forEach((item, index) => {
    const text = index === items.length - 1 ? item + end : `${item}, `;
    if (index > 0 && line.length + text.trimEnd().length > widthColumns) {
      lines.push(line.trimEnd());
      line = ' '.repeat(head.length);
    }
    line += text;
  });
  return [...lines, line];
}

/** A number with its noun. */
function count(number: number, noun: string, plural = 's'): string {
  return `${number} ${noun}${number === 1 ? '' : plural}`;
}

function short(digest: string): string {
  return digest.slice(0, 12);
}
