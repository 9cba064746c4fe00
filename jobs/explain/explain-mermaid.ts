import { formatDuration } from '../../engine/time/duration.ts';
import type { JobDescription, OperatorDescription, StageDescription } from './describe-job.ts';
import { joinLabel } from './describe-inputs.ts';
import { recordLines } from './describe-patterns.ts';
import { windowLabel } from './describe-windows.ts';
import { sinkLabel } from './explain-labels.ts';

/**
 * A plan as a Mermaid flowchart, which Markdown viewers draw: what holds state is a cylinder, what comes from outside or goes there has slanted sides.
 * See https://mermaid.js.org/syntax/flowchart.html.
 */
export function explainMermaid({ job, source, operators, stages, model, sinks }: JobDescription): string {
  const lines = ['flowchart TD', `  %% job ${job}`];
  let last = 'source';
  const add = (id: string, shape: Shape, ...text: readonly string[]): void => {
    lines.push(`  ${id}${node(shape, text)}`);
  };
  const follow = (id: string): void => {
    const from = last === 'source' && source.inputs.length > 0 ? source.inputs.map((_, n) => `source${n + 1}`) : [last];
    lines.push(...from.map((before) => `  ${before} --> ${id}`));
    last = id;
  };
  if (source.inputs.length === 0) add('source', 'outside', `${source.kind} ${source.name}`, `key ${source.key}`);
  source.inputs.forEach(({ name, kind, origin, key }, index) => {
    add(`source${index + 1}`, 'outside', `${name}: ${kind} ${origin}`, `key ${key}`);
  });
  operators.forEach((operator, index) => {
    const id = `operator${index + 1}`;
    add(id, ['derive', 'union', 'records'].includes(operator.operator) ? 'step' : 'state', ...operatorText(operator));
    follow(id);
  });
  if (model !== null) {
    add('model', 'step', `model ${model.reference}`, `threshold ${model.threshold}`);
    follow('model');
  }
  add('commit', 'step', 'commit', 'results, positions, state');
  follow('commit');
  let topic = 'commit';
  sinks.forEach((sink, index) => {
    const id = `sink${index + 1}`;
    add(id, 'outside', sinkLabel(sink));
    lines.push(`  ${sink.kind === 'topic' ? 'commit' : topic} --> ${id}`);
    if (sink.kind === 'topic' && topic === 'commit') topic = id;
  });
  if (stages.length > 1) lines.push(...stageLines(stages));
  if (source.deadLetters.policy === 'dead-letter') {
    add('deadLetters', 'outside', `topic ${source.deadLetters.topic}`, 'bad records');
    lines.push('  commit -.-> deadLetters');
  }
  return lines.join('\n');
}

/** The stages on a cluster, in a frame of their own: which groups there are, and the topics between them. */
function stageLines(stages: readonly StageDescription[]): readonly string[] {
  const lines = ['  subgraph cluster [on a cluster]'];
  // Several inputs share an exchange, in which the stage that reads it says the key.
  const exchanges = [...new Set(stages.flatMap(({ exchange }) => (exchange === null ? [] : [exchange.topic])))];
  stages.forEach(({ group, key, reads, operators, exchange }, index) => {
    const id = `stage${index + 1}`;
    lines.push(`    ${id}${node('step', [group, `key ${key.join(' + ')}`, ...operators])}`);
    const from = exchanges.indexOf(reads);
    if (from >= 0) {
      lines.push(`    exchange${from + 1}${node('outside', [`topic ${reads}`, `key ${key.join(' + ')}`])}`);
      lines.push(`    exchange${from + 1} --> ${id}`);
    }
    if (exchange !== null) lines.push(`    ${id} --> exchange${exchanges.indexOf(exchange.topic) + 1}`);
  });
  return [...lines, '  end'];
}

type Shape = 'outside' | 'state' | 'step';

const shapes: Readonly<Record<Shape, readonly [string, string]>> = {
  outside: ['[/"', '"/]'],
  state: ['[("', '")]'],
  step: ['["', '"]'],
};

function node(shape: Shape, text: readonly string[]): string {
  const [open, close] = shapes[shape];
  // Markdown viewers take the text as HTML, and a quote would end it.
  const escaped = text.map((line) =>
    line.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;').replaceAll('>', '&gt;'),
  );
  return `${open}${escaped.join('<br/>')}${close}`;
}

function operatorText(operator: OperatorDescription): readonly string[] {
  switch (operator.operator) {
    case 'dedupe':
      return [
        `dedupe by ${operator.by}`,
        operator.withinMs === Infinity ? 'for ever' : `within ${formatDuration(operator.withinMs)}`,
      ];
    case 'derive':
      return ['derive', ...operator.columns.map(({ name }) => name)];
    case 'enrich':
      return [`enrich from ${operator.table}`, `${operator.on} = ${operator.key}`, ...operator.columns];
    case 'union':
      return [`union of ${operator.inputs.join(', ')}`];
    case 'join':
      return [`join ${operator.id}`, joinLabel(operator)];
    case 'records':
      return recordLines(operator).map((line) => line.trim());
    case 'sessions':
      return [`sessions ${operator.id}`, `gap ${formatDuration(operator.gapMs)}`, `key ${operator.key.join(' + ')}`];
    case 'pattern':
      return [
        `pattern ${operator.id}`,
        operator.first,
        `then ${operator.followedBy}`,
        `within ${formatDuration(operator.withinMs)}`,
      ];
    case 'amend':
      return [`amend to ${operator.topic}`, `within ${formatDuration(operator.withinMs)}`];
    case 'window':
      return [
        `window ${operator.id}`,
        windowLabel(operator.window),
        `${operator.outputMode} ${operator.key.length === 0 ? 'of all records' : `by ${operator.key.join(' + ')}`}`,
        ...operator.aggregates.map(({ name }) => name),
      ];
    case 'rolling': {
      const features = operator.scans.flatMap(({ walks }) => walks.flatMap((walk) => walk.features));
      const order = operator.order === 'commit' ? ['order recorded by the commit'] : [];
      const bytes = `${operator.bytes.perRow} bytes a row, kept ${formatDuration(operator.retentionMs)}`;
      return [
        `rolling ${operator.id}`,
        features.length === 1 ? '1 column' : `${features.length} columns`,
        bytes,
        ...order,
      ];
    }
  }
}
