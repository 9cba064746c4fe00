import type { Action } from './action.ts';
import { Near, type RowDifference, type RowPath } from './compare-rows.ts';
import type { QueryStory } from './query-driver.ts';
import { writtenTopics } from './query-under-test.ts';
import { messageOf, SluiceError } from '../error.ts';

/** Rows that a failure shows of each topic; the newest, where there are more. */
const shownRows = 12;
/** Differences that a failure shows. */
const shownDifferences = 12;
const shownCharacters = 160;

/** An action in one line, as it was written. */
function renderAction(action: Action): string {
  switch (action.kind) {
    case 'addData': {
      const { partition, appendedAtMs } = action.options;
      const where = partition === undefined ? '' : ` to partition ${partition}`;
      const when = appendedAtMs === undefined ? '' : ` appended at ${instantText(appendedAtMs)}`;
      return `addData ${count(action.rows.length, 'row')}${where}${when}  ${shorten(action.rows.map((row) => valueText(row)).join(' '))}`;
    }
    case 'advanceClock':
      return `advanceClock ${action.durationMs} ms`;
    case 'advanceWatermark':
      return `advanceWatermark to ${instantText(action.toMs)}${action.partition === null ? '' : ` in partition ${action.partition}`}`;
    case 'checkAnswer':
      return `${action.of === 'all' ? 'checkAnswer' : 'checkNewAnswer'} ${count(action.rows.length, 'row')}${action.options.topic === undefined ? '' : ` of ${action.options.topic}`}`;
    case 'checkDeadLetters':
      return `checkDeadLetters ${count(action.rows.length, 'row')}`;
    case 'checkLedger':
      return `checkLedger ${valueText(action.counts)}`;
    case 'check':
      return `check ${action.what}`;
    case 'crashAt':
      return `crashAt ${action.when} ${action.step}`;
    case 'restart':
      return action.as === null ? 'restart' : `restart as ${action.as.name}`;
    case 'expectFailure':
      return `expectFailure ${action.failure.code}`;
    case 'crash':
    case 'stop':
      return action.kind;
  }
}

/** The list of actions with an arrow at one of them, and a mark at those that had been done. */
export function renderActions(actions: readonly Action[], failed: number): string {
  return actions
    .map((action, index) => `${index < failed ? '  ok ' : index === failed ? '  => ' : '     '}${renderAction(action)}`)
    .join('\n');
}

/** What is not as expected, a line for each difference. */
export function renderDifferences(differences: readonly RowDifference[]): string {
  const lines = differences.slice(0, shownDifferences).map((difference) => {
    switch (difference.kind) {
      case 'value':
        return `  row ${difference.row + 1}: ${pathText(difference.keys)}: expected ${valueText(difference.expected)}, got ${valueText(difference.got)}`;
      case 'missing':
        return `- row ${difference.row + 1}: nothing came for ${shorten(valueText(difference.expected))}`;
      case 'unexpected':
        return `+ not expected: ${shorten(valueText(difference.got))}`;
    }
  });
  const rest = differences.length - shownDifferences;
  return [...lines, ...(rest > 0 ? [`  and ${count(rest, 'more difference')}`] : [])].join('\n');
}

/** Everything that there is to see of a query at the moment: where it stands, and what it has written. */
export function renderStory({ broker, query, clock, life, view }: QueryStory): string {
  const committed = new Map(broker.committedOffsets().map(({ partition, offset }) => [partition, offset]));
  const stored = new Map(broker.stateOffsets().map(({ partition, offset }) => [partition, offset]));
  const partitions = broker.read(query.input.topic).map((messages, partition) => {
    const watermarkMs = view.watermarksMs.get(partition);
    const watermark = watermarkMs === undefined ? 'none' : instantText(watermarkMs);
    const stateAt = stored.get(partition) ?? 0;
    return `  partition ${partition}: ${count(messages.length, 'record')}, committed to ${committed.get(partition) ?? 0}, state at ${stateAt}, watermark ${watermark}`;
  });
  const state = broker.operatorIds().map((id) => {
    const entries = broker.stateOf(id);
    return `  ${id}: ${count(entries.length, 'key')}, ${entries.reduce((bytes, { key, value }) => bytes + key.length + value.length, 0)} bytes`;
  });
  const lifeText = typeof life === 'string' ? life : `ended: ${errorText(life.error)}`;
  return [
    `query ${query.name}: ${lifeText}, ${count(view.batches, 'batch', 'batches')}, ${view.replayedRecords} replayed; clock ${instantText(clock.nowMs())}`,
    `ledger: ${Object.entries(view.ledger)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
    `input ${query.input.topic}:`,
    ...partitions,
    'state in the store:',
    ...(state.length === 0 ? ['  none'] : state),
    ...writtenTopics(query).flatMap(({ topic }) =>
      renderTopic(
        broker.readInOrder(topic).map(({ value }) => value),
        topic,
      ),
    ),
  ].join('\n');
}

function renderTopic(values: readonly string[], topic: string): readonly string[] {
  const hidden = Math.max(0, values.length - shownRows);
  return [
    `topic ${topic}: ${count(values.length, 'row')}`,
    ...(hidden > 0 ? [`  (${hidden} before)`] : []),
    ...values.slice(hidden).map((value) => `  ${shorten(value)}`),
  ];
}

/** A place in a row, in words. */
export function pathText(keys: RowPath): string {
  if (keys.length === 0) return 'the row';
  return keys.map((key, index) => (typeof key === 'number' ? `[${key}]` : index === 0 ? key : `.${key}`)).join('');
}

/** A value as a test's author would write it. */
export function valueText(value: unknown): string {
  if (value instanceof Near) return `${value.value} within ${value.within}`;
  if (value === undefined) return 'nothing';
  return JSON.stringify(value, (_name, inner: unknown) =>
    inner instanceof Near ? `${inner.value} within ${inner.within}` : inner,
  );
}

/** An error in one line, with its code where it has one. */
export function errorText(error: unknown): string {
  return error instanceof SluiceError ? `${error.code}: ${error.message}` : messageOf(error);
}

function instantText(instantMs: number): string {
  return Number.isFinite(instantMs) ? new Date(instantMs).toISOString() : String(instantMs);
}

/** A text in one line of bearable length. */
export function shorten(text: string): string {
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text;
}

function count(size: number, one: string, many = `${one}s`): string {
  return `${size} ${size === 1 ? one : many}`;
}
