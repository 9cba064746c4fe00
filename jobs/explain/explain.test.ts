import { describe, expect, it } from 'vitest';
import type { JobDescription, RollingDescription } from './describe-job.ts';
import { explainJob } from './explain.ts';
import { jobOf, type Change } from '../testing/job-folder.ts';

const job = 'jobs/job.yaml';
const card = 'features/card.yaml';
const chained: Change = [card, 'features:', 'features:\n  large_14d: { count: true, where: ratio > 3, over: 14d }'];

async function described(...changes: readonly Change[]): Promise<JobDescription> {
  return JSON.parse(explainJob(await jobOf(...changes), 'json')) as JobDescription;
}

async function rolling(id: string, ...changes: readonly Change[]): Promise<RollingDescription> {
  const { operators } = await described(...changes);
  const found = operators.find((operator) => operator.operator === 'rolling' && operator.id === id);
  if (found?.operator !== 'rolling') throw new RangeError(`no operator ${id}`);
  return found;
}

describe('the plan as JSON', () => {
  it('has the operators in the order in which a record meets them', async () => {
    const { operators } = await described(chained);
    expect(operators.map((operator) => (operator.operator === 'derive' ? 'derive' : operator.id))).toEqual([
      'duplicates',
      'card/0',
      'terminal/0',
      'derive',
      'card/1',
    ]);
  });

  it('says of features in panes how long their windows are, and how many bytes panes are', async () => {
    const panes: Change = [card, 'features:', 'features:\n  spent_30d: { sum: amount, over: 30d, resolution: 1h }'];
    const operator = await rolling('card/0@1h', panes);
    expect(operator.panes).toEqual({
      sizeMs: 3_600_000,
      aboveRecords: null,
      looseMs: 60_000,
      looseRows: 4,
      bytesPerPane: 72,
      bytesPerFullKey: 32 + 722 * 72,
    });
    expect(operator.bytes).toEqual({ perKey: 32, perRow: 16, formula: '32 + panes × 72 + rows × 16' });
    expect((await rolling('card/0', panes)).panes).toBeNull();
    const text = explainJob(await jobOf(panes), 'text');
    expect(text).toContain(
      'panes  of 1h: a window begins at the start of a pane, so it is longer than it says, by less than 1h',
    );
    expect(text).toContain('32 + panes × 72 + rows × 16 a key; 50.8 KiB for all panes');
    const compact: Change = [
      card,
      'features:',
      'features:\n  spent_30d: { sum: amount, over: 30d, compact: { above: 5000, to: 1h } }',
    ];
    expect((await rolling('card/0@1h-above-5000', compact)).panes?.aboveRecords).toBe(5_000);
    expect(explainJob(await jobOf(compact), 'text')).toContain(
      'panes  of 1h for keys that hold more than 5000 records;',
    );
  });

  it('says what is stored, how many bytes that is, and for how long', async () => {
    const { stored, bytes, reachMs, retentionMs } = await rolling('card/0');
    expect(stored).toEqual([
      { input: 'amount', where: null, form: 'number', bytesPerRow: 8 },
      { input: 'terminal', where: null, form: 'code', bytesPerRow: 4 },
    ]);
    expect(bytes).toEqual({ perKey: 12, perRow: 20, formula: '8 + rows × 20 + (4 + texts × (4 + their bytes))' });
    expect(reachMs).toBe(30 * 86_400_000);
    expect(retentionMs).toBe(30 * 86_400_000 + 60_000);
  });

  it('says which features share a search, and which of them a walk', async () => {
    const { scans } = await rolling('card/0');
    expect(scans.map(({ delayMs, current }) => [delayMs, current])).toEqual([
      [0, 'exclude'],
      [0, 'include'],
    ]);
    const walks = scans[0]?.walks.map((walk) => [walk.function, walk.input, walk.features.map(({ name }) => name)]);
    expect(walks).toEqual([
      ['avg', 'amount', ['avg_7d', 'avg_30d']],
      ['distinct', 'terminal', ['places_30d']],
    ]);
  });

  it('marks an entity that is not the key of the topic, and what is computed from it', async () => {
    const { operators, model } = await described();
    expect(
      operators.flatMap((operator) => (operator.operator === 'rolling' ? [[operator.id, operator.order]] : [])),
    ).toEqual([
      ['card/0', 'input'],
      ['terminal/0', 'commit'],
    ]);
    const marked = model?.inputs.filter(({ order }) => order === 'commit').map(({ name }) => name);
    expect(marked).toEqual(['rate_7d', 'risk']);
  });

  it('marks nothing where a file is read, nor an entity that holds the key of the topic', async () => {
    expect((await rolling('terminal/0', [job, 'topic: payments', 'csv: in.csv'])).order).toBe('input');
    const both: Change = ['features/terminal.yaml', 'entity: terminal', 'entity: [terminal, card]'];
    expect((await rolling('terminal+card/0', both)).order).toBe('input');
  });

  it('offers a model every feature with its default, and leaves out instants and texts', async () => {
    const more = 'features:\n  first_at: { first: at, over: 1d }\n  last_place: { last: terminal, over: 1d }';
    const { model } = await described([card, 'features:', more]);
    expect(model).toMatchObject({ reference: 'fraud@champion', threshold: 0.5, inputsFrom: 'declared' });
    expect(model?.inputs.map(({ name, whenNull }) => [name, whenNull])).toEqual([
      ['avg_7d', null],
      ['avg_30d', null],
      ['count_1h', null],
      ['ratio', 1],
      ['places_30d', null],
      ['rate_7d', 0],
      ['risk', null],
    ]);
  });

  it('gives the inputs of the model in its own order where there is one', async () => {
    const inputs = [
      { column: 'ratio', whenNull: 1 },
      { column: 'amount', whenNull: NaN },
    ];
    const { model } = JSON.parse(explainJob(await jobOf(), 'json', inputs)) as JobDescription;
    expect(model?.inputsFrom).toBe('manifest');
    expect(model?.inputs).toEqual([
      { name: 'ratio', whenNull: 1, order: 'input' },
      { name: 'amount', whenNull: null, order: 'input' },
    ]);
  });

  it('is the same text each time', async () => {
    const sound = await jobOf();
    expect(explainJob(sound, 'json')).toBe(explainJob(sound, 'json'));
  });
});

describe('the stages of a plan', () => {
  it('are one for each change of entity, with the exchanges between them', async () => {
    const { stages } = await described(chained, [job, 'state: {', 'exchange: { partitions: 7 }\nstate: {']);
    expect(stages).toEqual([
      {
        group: 'shop.scoring',
        reads: 'payments',
        key: ['card'],
        operators: ['card/0', 'card/1'],
        holdMs: null,
        exchange: { topic: 'shop.scoring.exchange.terminal', key: ['terminal'], partitions: 7 },
      },
      {
        group: 'shop.scoring.terminal',
        reads: 'shop.scoring.exchange.terminal',
        key: ['terminal'],
        operators: ['terminal/0'],
        holdMs: null,
        exchange: null,
      },
    ]);
  });

  it('are said in text and drawn, and not where there is only one', async () => {
    const text = explainJob(await jobOf(), 'text');
    const section = text.slice(text.indexOf('on a cluster'), text.indexOf('sinks')).trimEnd();
    expect(section).toBe(
      [
        'on a cluster  2 stages, each a consumer group, with state by partition',
        '  1  shop.scoring  reads payments, keyed by card',
        '     computes  card/0',
        '     writes shop.scoring.exchange.terminal, keyed by terminal',
        '  2  shop.scoring.terminal  reads shop.scoring.exchange.terminal, keyed by terminal',
        '     computes  terminal/0',
        '     writes the results; those of one card may come in another order than its records',
      ].join('\n'),
    );
    expect(explainJob(await jobOf(), 'mermaid')).toContain('    stage1 --> exchange1\n');
    const alone = await jobOf([job, '[card, terminal]', '[card]']);
    expect(explainJob(alone, 'text')).not.toContain('on a cluster');
    expect(explainJob(alone, 'mermaid')).not.toContain('stage1');
  });
});

describe('the plan as text', () => {
  it('says of each operator its state, its bytes, its retention and what shares a scan', async () => {
    const text = explainJob(await jobOf(), 'text');
    const section = text.slice(text.indexOf('rolling card/0'), text.indexOf('rolling terminal/0')).trimEnd();
    expect(section).toBe(
      [
        'rolling card/0  one state for each card',
        '  order  that of the input: all records of one key are in one partition',
        '  state  event time, amount, terminal as code of each record, for 30d1m, 1m of them for late records',
        '  bytes  8 + rows × 20 + (4 + texts × (4 + their bytes)) a key; 2.0 KiB for 100 rows; in memory, room for a power of two of rows',
        '  4 columns from 2 searches and 3 walks',
        '    without the record itself',
        '      avg of amount         → avg_7d (7d), avg_30d (30d)',
        '      distinct of terminal  → places_30d (30d)',
        '    with the record itself',
        '      count  → count_1h (1h)',
      ].join('\n'),
    );
  });

  it('says what a JSON Schema demands of records, and how messages are written', async () => {
    const schema = {
      type: 'object',
      properties: {
        id: { type: 'string', pattern: '^t' },
        at: { type: 'string', format: 'date-time' },
        card: { type: 'string' },
        terminal: { type: 'string' },
        amount: { type: 'number', minimum: 0 },
        fraud: { type: ['boolean', 'null'] },
      },
      required: ['id', 'at', 'card', 'terminal', 'amount'],
      additionalProperties: false,
    };
    const text = explainJob(
      await jobOf(
        ['jobs/job.yaml', 'schema: payment', 'schema: ../schemas/payment.schema.json'],
        ['schemas/payment.schema.json', '', JSON.stringify(schema)],
        ['jobs/job.yaml', 'partitions: 3', 'format: avro'],
        ['jobs/job.yaml', '{ topic: bad }', '{ topic: bad, format: avro }'],
      ),
      'text',
    );
    expect(text).toContain('  rules  id pattern ^t, amount minimum 0, no other fields\n');
    expect(text).toContain('  bad records go to the topic bad, avro\n');
    expect(text).toContain('  topic scores, avro\n');
  });

  it('says what else a person asks: the source, lateness, bad records, defaults, sinks', async () => {
    const text = explainJob(await jobOf(), 'text');
    for (const line of [
      'source  topic payments, json, keyed by card',
      '  answers are exact for records up to 1m10s behind it; later ones are answered and flagged',
      '  bad records go to the topic bad, json',
      '  drops a record whose id came before, less than 1h of event time away',
      '  order  recorded by the commit: records of one terminal come from several partitions',
      '    as known 7d before the record',
      'model   fraud@champion, flags from probability 0.5 on',
      '     4  ratio       null becomes 1',
      '     6  rate_7d     null becomes 0, order recorded by the commit',
      '  topic scores, json, 3 partitions',
      '  clickhouse scores, follows the topic',
      '  console, every 2s',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('says how many reasons an alert carries, where it does', async () => {
    const text = explainJob(await jobOf([job, 'threshold: 0.5', 'explain: 3']), 'text');
    expect(text).toContain('  an alert carries 3 reasons: the features that spoke for it most\n');
    expect(explainJob(await jobOf(), 'text')).not.toContain('reason');
  });

  it('needs no model, no duplicates and no features', async () => {
    const changes: readonly Change[] = [
      [job, 'score: { model: fraud@champion, threshold: 0.5 }\n', ''],
      [job, '  duplicates: { by: id, within: 1h }\n', ''],
      [job, '[card, terminal]', 'none'],
    ];
    const text = explainJob(await jobOf(...changes), 'text');
    expect(text).not.toMatch(/model|dedupe|rolling|undefined|NaN|Infinity/);
    expect(text).toContain('0 feature columns');
  });

  it('says that ids which are remembered for ever have no bound', async () => {
    const forEver: Change = [job, 'within: 1h }', 'within: forever }'];
    const text = explainJob(await jobOf(forEver), 'text');
    expect(text).toContain('drops a record whose id came before\n');
    expect(text).toContain('for each record that there ever was: unbounded');
    expect(text).not.toContain('Infinity');
    expect(explainJob(await jobOf(forEver), 'mermaid')).toContain('dedupe by id<br/>for ever');
  });

  it('keeps its lists within the width', async () => {
    const many = Array.from({ length: 30 }, (_, i) => `  count_of_${i + 1}h: { count: true, over: ${i + 1}h }`);
    const text = explainJob(await jobOf([card, 'features:', `features:\n${many.join('\n')}`]), 'text');
    const lists = text.split('\n').filter((line) => line.includes('count_of_') && line.includes('('));
    expect(lists.length).toBeGreaterThan(5);
    for (const line of lists) expect(line.length).toBeLessThanOrEqual(111);
  });
});

describe('the plan as a flowchart', () => {
  it('leads from the source to the sinks, bad records aside', async () => {
    const lines = explainJob(await jobOf(chained), 'mermaid').split('\n');
    expect(lines[0]).toBe('flowchart TD');
    const edges = lines.flatMap((line) => (/^ {2}\w+ -/.test(line) ? [line.trim()] : []));
    expect(edges).toEqual([
      'source --> operator1',
      'operator1 --> operator2',
      'operator2 --> operator3',
      'operator3 --> operator4',
      'operator4 --> operator5',
      'operator5 --> model',
      'model --> commit',
      'commit --> sink1',
      'sink1 --> sink2',
      'sink1 --> sink3',
      'sink1 --> sink4',
      'commit -.-> deadLetters',
    ]);
  });

  it('declares every node that it connects, once', async () => {
    const text = explainJob(await jobOf(chained), 'mermaid');
    const declared = [...text.matchAll(/^ {2}(\w+)\[/gm)].map(([, id]) => id);
    expect(new Set(declared).size).toBe(declared.length);
    for (const [, from, to] of text.matchAll(/^ {2}(\w+) -\S+ (\w+)$/gm)) {
      expect(declared).toContain(from);
      expect(declared).toContain(to);
    }
  });

  it('writes what stands for signs of its own', async () => {
    const text = explainJob(await jobOf(chained), 'mermaid');
    expect(text).toContain('(ratio &gt; 3)');
    expect(text).not.toMatch(/ratio > 3/);
  });
});
