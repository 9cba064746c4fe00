import { formatDuration } from '../../engine/time/duration.ts';
import { aggregatorOf } from '../../operators/aggregate/aggregate-spec.ts';
import type { AggregateTraits } from '../../operators/aggregate/aggregator.ts';
import type { WindowDefinition, WindowKind } from '../../operators/window/window-definition.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { WindowPlan } from '../plan/window-plan.ts';

/** The operator of windows, as `explain` shows it. */
export interface WindowDescription {
  readonly operator: 'window';
  readonly id: string;
  readonly key: readonly string[];
  readonly window: WindowKind;
  readonly where: string | null;
  readonly having: string | null;
  readonly outputMode: WindowDefinition['outputMode'];
  readonly late: CheckedJob['late'];
  /** See `WindowDefinition`. */
  readonly closedBy: WindowDefinition['closedBy'];
  readonly aggregates: readonly WindowAggregateDescription[];
}

/** One aggregate, with what is known of it before it runs. */
export interface WindowAggregateDescription extends AggregateTraits {
  readonly name: string;
  readonly function: string;
  /** `null`: records are counted. */
  readonly input: string | null;
  readonly where: string | null;
}

/** Describes a job's windows. Called by `describeJob`. */
export function describeWindows({ definition, having }: WindowPlan, late: CheckedJob['late']): WindowDescription {
  const { operatorId, key, window, where, outputMode, closedBy, aggregates } = definition;
  return {
    operator: 'window',
    id: operatorId,
    key,
    window,
    where,
    having: having?.text ?? null,
    outputMode,
    late,
    closedBy,
    aggregates: aggregates.map(({ name, spec, input, where: condition, carried }) => {
      const of = carried === undefined ? input : `${carried.join(', ')} by ${input}`;
      return { name, function: spec.function, input: of, where: condition, ...aggregatorOf(spec).traits };
    }),
  };
}

/** Which windows there are, in a few words. */
export function windowLabel(window: WindowKind): string {
  switch (window.kind) {
    case 'tumbling':
      return `tumbling, ${formatDuration(window.sizeMs)}${startLabel(window.startMs)}`;
    case 'hopping':
      return `hopping, ${formatDuration(window.sizeMs)} every ${formatDuration(window.everyMs)}${startLabel(window.startMs)}`;
    case 'session':
      return `session, gap ${formatDuration(window.gapMs)}`;
    case 'count':
      return `every ${window.size} records`;
  }
}

function startLabel(startMs: number): string {
  return startMs === 0 ? '' : `, aligned to the epoch + ${formatDuration(startMs)}`;
}

/** The operator in lines of text. */
export function windowLines(description: WindowDescription): readonly string[] {
  const { id, key, window, where, having, outputMode, late, closedBy, aggregates } = description;
  const width = aggregates.reduce((longest, { name }) => Math.max(longest, name.length), 0);
  const computed = aggregates.map((aggregate) => {
    const of = aggregate.input === null ? '' : ` of ${aggregate.input}`;
    return `${aggregate.function}${of}${aggregate.where === null ? '' : ` where ${aggregate.where}`}`;
  });
  const widthOfComputed = computed.reduce((longest, text) => Math.max(longest, text.length), 0);
  return [
    `window  ${id}  ${windowLabel(window)}, ${key.length === 0 ? 'of all records' : `for each ${key.join(' + ')}`}`,
    ...(where === null ? [] : [`  only records where ${where}`]),
    `  results  ${modeText(description)}`,
    ...(window.kind === 'count'
      ? []
      : [
          `  closed by ${closedBy === 'partition' ? 'the watermark of the partition that the key is in' : 'the least watermark of all partitions that are not idle; records of one key come from several, in an order that the commit records'}`,
        ]),
    ...(window.kind === 'count' || outputMode === 'complete' ? [] : [`  late records ${lateText(late)}`]),
    `  state  one for each key and window that is not over${outputMode === 'complete' ? '; every window is kept' : ''}`,
    ...aggregates.map(({ name, reversal, memory, stateSize, accuracy }, index) => {
      const head = `    ${name.padEnd(width)}  = ${(computed[index] ?? '').padEnd(widthOfComputed)}`;
      return `${head}  ${memory}: ${stateSize}; ${reversal}; ${accuracy}`;
    }),
    ...(having === null ? [] : [`  published where ${having}`]),
  ];
}

function modeText({ outputMode, window, late }: WindowDescription): string {
  switch (outputMode) {
    case 'append':
      if (window.kind === 'count') return 'append: one for each window, when it is full';
      if (late.policy === 'update') return 'append: one for each window as it ends, and one more for each late record';
      return 'append: one for each window, when nothing can change it any more';
    case 'update':
      return 'update: one for each window that a record changes, at once';
    case 'complete':
      return 'complete: the whole table, whenever a window ends or one that has ended changes';
  }
}

function lateText({ policy, allowedLatenessMs, topic }: CheckedJob['late']): string {
  const after = allowedLatenessMs === 0 ? '' : `, ${formatDuration(allowedLatenessMs)} after the end of their windows,`;
  return topic === null || policy === 'drop'
    ? `are dropped${after} and counted`
    : `go to the topic ${topic}${after} and are counted`;
}
