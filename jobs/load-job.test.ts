import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { renderDiagnostics } from '../engine/plan/render-diagnostics.ts';
import { loadJob } from './load-job.ts';
import { changed, jobOf, loadFiles, problemsOf, type Change } from './testing/job-folder.ts';

const job = 'jobs/job.yaml';
const inline = 'fields: { id: string, at: timestamp, card: string, terminal: long, amount: double, fraud: "boolean?" }';

describe('a sound job', () => {
  it('is all that its files say', async () => {
    const loaded = await jobOf();
    expect(loaded).toMatchObject({
      name: 'scoring',
      app: 'shop',
      source: {
        kind: 'topic',
        topic: 'payments',
        format: 'json',
        key: 'card',
        eventTime: { field: 'at', delayMs: 10_000, idleTimeoutMs: 30_000, maxFutureSkewMs: 300_000 },
        duplicates: { by: 'id', withinMs: 3_600_000 },
      },
      score: { model: 'fraud@champion', shadow: null, threshold: 0.5, explain: 0 },
      deadLetters: { policy: 'dead-letter', topic: 'bad', format: 'json' },
      late: { allowedLatenessMs: 60_000, policy: 'answer', topic: null },
      state: { flushEveryMs: 5_000 },
      guarantee: 'exactly-once',
    });
    expect(loaded.source.avro).toContain('"Payment"');
    expect(loaded.schema.fields.map(({ name, type, presence }) => `${name} ${type} ${presence}`)).toEqual([
      'id string required',
      'at timestamp required',
      'card string required',
      'terminal string required',
      'amount double required',
      'fraud boolean optional',
    ]);
    expect(loaded.features.columns.map(({ name }) => name)).toEqual([
      'avg_7d',
      'avg_30d',
      'count_1h',
      'ratio',
      'places_30d',
      'rate_7d',
      'risk',
    ]);
    expect(loaded.features.allowedLatenessMs).toBe(60_000);
    expect(loaded.digest).toMatch(/^[0-9a-f]{64}$/);
  });

  it('has its sinks in order, files relative to the job file', async () => {
    const { sinks, file } = await jobOf();
    expect(sinks).toEqual([
      { kind: 'topic', topic: 'scores', format: 'json', partitions: 3 },
      { kind: 'clickhouse', table: 'scores' },
      { kind: 'jsonl', path: join(dirname(file), 'out/scores.jsonl') },
      { kind: 'console', everyMs: 2_000 },
    ]);
  });

  it('is frozen', async () => {
    const loaded = await jobOf();
    const { source, score, sinks, late, state } = loaded;
    for (const part of [loaded, source, source.eventTime, source.duplicates, score, sinks, sinks[0], late, state]) {
      expect(Object.isFrozen(part)).toBe(true);
    }
  });

  it('needs little: a source, features or the word none, and a sink', async () => {
    const text = `job: a\nsource: { topic: t, ${inline}, key: card, eventTime: { field: at, delay: 0s } }\nfeatures: none\nsinks: [{ topic: u }]\n`;
    const loaded = await jobOf([job, '', text]);
    expect(loaded).toMatchObject({
      app: 'sluice',
      score: null,
      deadLetters: { policy: 'dead-letter', topic: 'a-dead-letters', format: 'json' },
      late: { allowedLatenessMs: 0 },
      state: { flushEveryMs: 1_000 },
      source: { avro: null, duplicates: null },
    });
    expect(loaded.features.columns).toEqual([]);
    expect(loaded.schema.field('fraud')).toEqual({ name: 'fraud', type: 'boolean', presence: 'optional' });
  });

  it('may stop at the first bad record', async () => {
    expect((await jobOf([job, 'deadLetters: { topic: bad }', 'deadLetters: fail'])).deadLetters).toEqual({
      policy: 'fail',
    });
  });

  it.each([
    ['parquet: in.parquet', { kind: 'parquet' }],
    ['csv: in.csv', { kind: 'csv' }],
    ['jsonl: in.jsonl', { kind: 'jsonl' }],
    ['simulator: { world: stream }', { kind: 'simulator', ratePerSecond: null, seed: 0, drift: 'none' }],
    ['simulator: { world: handbook, ratePerSecond: 10, seed: 3 }', { world: 'handbook', ratePerSecond: 10, seed: 3 }],
  ])('may read %s', async (origin, expected) => {
    expect((await jobOf([job, 'topic: payments', origin])).source).toMatchObject(expected);
  });

  it('may name features and schemas by their paths', async () => {
    const files = changed(
      [job, '[card, terminal]', '[./own/card.yaml, ../features/terminal.yaml]'],
      [job, 'schema: payment', 'schema: ./own/payment.avsc'],
    );
    const own = { 'jobs/own/card.yaml': files['features/card.yaml'] ?? '' };
    const outcome = await loadFiles({
      ...files,
      ...own,
      'jobs/own/payment.avsc': files['schemas/payment.avsc'] ?? '',
    });
    expect(outcome.ok).toBe(true);
  });
});

/** What was changed, then the one problem that comes of it: file, line, column, code, a part of the message, what was expected, the nearest name. */
type Row = readonly [
  change: Change,
  place: string,
  code: string,
  message: string,
  expected: string | null,
  nearest?: string,
];

const rows: readonly Row[] = [
  [[job, 'app: shop', 'ap: shop'], `${job}:2:1`, 'KEY_UNKNOWN', '"ap"', 'one of job, app', 'app'],
  [[job, 'job: scoring\n', ''], `${job}:1:1`, 'KEY_MISSING', '"job" is missing', 'text'],
  [[job, 'job: scoring', 'job: my scoring'], `${job}:1:6`, 'VALUE_WRONG', '"my scoring"', 'a name of letters'],
  [[job, 'topic: payments', 'topci: payments'], `${job}:4:1`, 'KEY_MISSING', 'where records come from', 'one of topic'],
  [[job, 'topic: payments', 'topic: pay ments'], `${job}:5:10`, 'VALUE_WRONG', 'the name of a topic', 'a-z'],
  [[job, '  schema:', '  csv: x.csv\n  schema:'], `${job}:6:3`, 'VALUE_WRONG', 'topic and csv', 'one of topic'],
  [
    [job, 'schema: payment', 'schema: paymnet'],
    `${job}:6:11`,
    'FILE_UNREADABLE',
    'schemas/paymnet.avsc',
    'one of payment',
    'payment',
  ],
  [[job, '  schema: payment\n', ''], `${job}:4:1`, 'KEY_MISSING', "the record's fields", 'one of schema, fields'],
  [[job, '  key:', `  ${inline}\n  key:`], `${job}:7:3`, 'VALUE_WRONG', 'schema and fields', 'one of schema, fields'],
  [[job, 'schema: payment', 'fields: { at: instant }'], `${job}:6:17`, 'VALUE_WRONG', '"instant"', 'timestamp'],
  [[job, '  key: card\n', ''], `${job}:4:1`, 'KEY_MISSING', '"key" is missing', 'text'],
  [
    [job, 'key: card', 'key: crad'],
    `${job}:7:8`,
    'NAME_UNKNOWN',
    'no field "crad"',
    'one of id, card, terminal',
    'card',
  ],
  [[job, 'key: card', 'key: amount'], `${job}:7:8`, 'TYPE_WRONG', '"amount" is a double, which is no key', 'one of id'],
  [[job, 'field: at', 'field: ta'], `${job}:8:23`, 'NAME_UNKNOWN', 'no field "ta"', 'one of at', 'at'],
  [[job, 'field: at', 'field: amount'], `${job}:8:23`, 'TYPE_WRONG', 'which is no event time', 'one of at'],
  [[job, 'delay: 10s', 'delay: 10'], `${job}:8:34`, 'TYPE_WRONG', '"delay" is 10', 'text'],
  [[job, 'delay: 10s', 'delay: 10 s'], `${job}:8:34`, 'VALUE_WRONG', '"10 s" is no duration', 'a duration'],
  [[job, 'delay: 10s', 'dealy: 10s, delay: 1s'], `${job}:8:27`, 'KEY_UNKNOWN', '"dealy"', 'one of field', 'delay'],
  [[job, 'by: id', 'by: di'], `${job}:9:21`, 'NAME_UNKNOWN', 'no field "di"', 'one of id', 'id'],
  [[job, 'within: 1h', 'within: 0s'], `${job}:9:33`, 'VALUE_WRONG', 'the duration is 0s', 'more than 0s'],
  [[job, 'features: [card, terminal]\n', ''], `${job}:1:1`, 'KEY_MISSING', '"features" is missing', 'none, or a list'],
  [[job, '[card, terminal]', '[]'], `${job}:10:11`, 'VALUE_WRONG', '"features" is a list', 'at least 1'],
  [
    [job, '[card, terminal]', '[card, terminla]'],
    `${job}:10:18`,
    'FILE_UNREADABLE',
    'features/terminla.yaml',
    'one of card, terminal',
    'terminal',
  ],
  [[job, '[card, terminal]', '[card, card, terminal]'], `${job}:10:18`, 'NAME_DUPLICATE', '"card" is here twice', null],
  [
    [job, 'fraud@champion', 'fraud@champoin'],
    `${job}:11:17`,
    'VALUE_WRONG',
    'names no model',
    'fraud@3',
    'fraud@champion',
  ],
  [[job, 'fraud@champion', './models/fraud'], `${job}:11:17`, 'VALUE_WRONG', 'names no model', 'fraud@3'],
  [[job, 'threshold: 0.5', 'threshold: 1.5'], `${job}:11:44`, 'VALUE_WRONG', '"threshold" is 1.5', 'at most 1'],
  [
    [job, 'threshold: 0.5', 'shadow: fraud@2'],
    `${job}:11:33`,
    'VALUE_WRONG',
    '"shadow" is not built yet',
    'no "shadow"',
  ],
  [[job, 'threshold: 0.5', 'explain: 30'], `${job}:11:42`, 'VALUE_WRONG', '"explain" is 30', 'at most 20'],
  [
    [job, 'topic: scores', 'topic: payments'],
    `${job}:13:14`,
    'NAME_DUPLICATE',
    'already read by this job',
    'another topic',
  ],
  [
    [job, '- clickhouse: scores', '- topic: scores'],
    `${job}:14:12`,
    'NAME_DUPLICATE',
    'already written',
    'another topic',
  ],
  [
    [job, '- clickhouse: scores', '- clickhouse: my-scores'],
    `${job}:14:17`,
    'VALUE_WRONG',
    'name of a table',
    'letters',
  ],
  [
    [job, '- clickhouse: scores', '- clickhuose: scores'],
    `${job}:14:5`,
    'KEY_UNKNOWN',
    '"clickhuose"',
    'clickhouse',
    'clickhouse',
  ],
  [
    [job, '- clickhouse: scores', '- { clickhouse: a, format: json }'],
    `${job}:14:22`,
    'VALUE_WRONG',
    'belongs to a topic',
    'no "format"',
  ],
  [
    [job, '- console: 2s', '- { console: 2s, jsonl: a }'],
    `${job}:16:7`,
    'VALUE_WRONG',
    'jsonl and console',
    'one of topic',
  ],
  [[job, '- console: 2s', '- jsonl: out/scores.jsonl'], `${job}:16:12`, 'NAME_DUPLICATE', 'already written', 'another'],
  [[job, '- console: 2s', '- {}'], `${job}:16:5`, 'KEY_MISSING', 'where results go', 'one of topic'],
  [[job, 'partitions: 3', 'format: arvo'], `${job}:13:30`, 'VALUE_WRONG', '"arvo"', 'one of json, avro', 'avro'],
  [
    [job, 'schema: payment', `format: avro\n  ${inline}`],
    `${job}:6:11`,
    'VALUE_WRONG',
    'here are "fields"',
    '"schema" in the place of',
  ],
  [
    [job, 'topic: payments', 'jsonl: payments.jsonl\n  format: avro'],
    `${job}:6:11`,
    'VALUE_WRONG',
    'this source is a jsonl',
    'no "format"',
  ],
  [[job, '{ topic: bad }', '{ topic: bad, format: xml }'], `${job}:18:36`, 'VALUE_WRONG', '"xml"', 'one of json, avro'],
  [[job, 'policy: answer', 'policy: drop'], `${job}:17:38`, 'VALUE_WRONG', '"drop" is for windows', 'answer'],
  [[job, 'policy: answer', 'policy: anwser'], `${job}:17:38`, 'VALUE_WRONG', '"anwser"', 'answer', 'answer'],
  [[job, '{ topic: bad }', '{ topic: scores }'], `${job}:18:23`, 'NAME_DUPLICATE', 'already written', 'another topic'],
  [[job, '{ topic: bad }', 'ignore'], `${job}:18:14`, 'TYPE_WRONG', '"deadLetters" is "ignore"', 'fail, or a mapping'],
  [[job, 'flushEvery: 5s', 'flushEvery: often'], `${job}:19:22`, 'VALUE_WRONG', '"often" is no duration', 'a duration'],
  [
    [job, 'guarantee: exactly-once', 'guarantee: at-least-once'],
    `${job}:20:12`,
    'VALUE_WRONG',
    'not built yet',
    'exactly-once',
  ],
  [
    [job, 'guarantee: exactly-once', 'guarantee: exactly once'],
    `${job}:20:12`,
    'VALUE_WRONG',
    'not a choice',
    'exactly-once',
    'exactly-once',
  ],
  [
    ['features/card.yaml', 'avg: amount, over: 7d', 'avg: amuont, over: 7d'],
    'features/card.yaml:3:18',
    'EXPRESSION_INVALID',
    '"amuont"',
    'one of id',
    'amount',
  ],
  [
    ['features/terminal.yaml', 'entity: terminal', 'entity: terminl'],
    'features/terminal.yaml:1:9',
    'NAME_UNKNOWN',
    '"terminl"',
    'one of id',
    'terminal',
  ],
  [['schemas/payment.avsc', '"string"', '"text"'], 'schemas/payment.avsc:1:1', 'SCHEMA_INVALID', 'text', null],
  [['schemas/payment.avsc', ']}', '}'], 'schemas/payment.avsc:1:', 'SCHEMA_INVALID', '', null],
];

describe('a job with one mistake', () => {
  it.each(rows.map((row) => ({ row, was: row[0][1].trim(), is: row[0][2].trim(), place: row[1] })))(
    'is refused at $place: "$is" for "$was"',
    async ({ row: [change, place, code, message, expected, nearest = null] }) => {
      const found = await problemsOf(change);
      const hit = found.find((problem) => `${problem.file}:${problem.line}:${problem.column}`.startsWith(place));
      expect(hit?.code).toBe(code);
      expect(hit?.message).toContain(message);
      if (expected !== null) expect(hit?.expected).toContain(expected);
      expect(hit?.nearest ?? null).toBe(nearest);
      // A mistyped key is both unknown and missing; nothing else is said twice.
      expect(found.length).toBeLessThanOrEqual(code === 'KEY_UNKNOWN' || code === 'KEY_MISSING' ? 3 : 1);
    },
  );
});

describe('a job with many mistakes', () => {
  it('is told all of them at once, over all files, from the top of each', async () => {
    const found = await problemsOf(
      [job, 'key: card', 'key: crad'],
      [job, 'delay: 10s', 'delay: soon'],
      [job, '[card, terminal]', '[card, terminal, nowhere]'],
      [job, 'guarantee: exactly-once', 'guarantee: perhaps'],
      ['features/card.yaml', 'over: 30d', 'ovre: 30d'],
      ['features/terminal.yaml', 'rate_7d * ratio', 'rate_7d * ratoi'],
    );
    expect(found.map(({ file, line, column, code, nearest }) => [`${file}:${line}:${column}`, code, nearest])).toEqual([
      [`${job}:7:8`, 'NAME_UNKNOWN', 'card'],
      [`${job}:8:34`, 'VALUE_WRONG', null],
      [`${job}:10:28`, 'FILE_UNREADABLE', null],
      [`${job}:20:12`, 'VALUE_WRONG', null],
      ['features/card.yaml:4:27', 'KEY_UNKNOWN', 'over'],
      ['features/terminal.yaml:4:27', 'EXPRESSION_INVALID', 'ratio'],
    ]);
  });

  it('is told what is wrong with its features where its schema cannot be read, but not that they know no field', async () => {
    const found = await problemsOf(
      [job, 'schema: payment', 'schema: nothing'],
      ['features/card.yaml', 'over: 30d', 'ovre: 30d'],
    );
    expect(found.map(({ file, line, code }) => [file, line, code])).toEqual([
      [job, 6, 'FILE_UNREADABLE'],
      ['features/card.yaml', 4, 'KEY_UNKNOWN'],
    ]);
  });

  it('is not told that its features are wrong where they read an event time that is', async () => {
    const found = await problemsOf(
      [job, 'field: at, delay: 10s', 'field: at, delay: soon'],
      ['features/card.yaml', 'features:', 'features:\n  since: { sinceLast: at, over: 1d }'],
    );
    expect(found.map(({ code }) => code)).toEqual(['VALUE_WRONG']);
  });

  it('can be shown with its lines', async () => {
    const outcome = await loadFiles(
      changed(
        [job, 'key: card', 'key: crad'],
        ['features/card.yaml', 'avg: amount, over: 7d', 'avg: amuont, over: 7d'],
      ),
    );
    if (outcome.ok) throw new RangeError('the job is not sound');
    const text = renderDiagnostics(outcome.diagnostics, outcome.sources);
    expect(text).toContain('  7 |   key: crad\n    |        ^^^^');
    expect(text).toContain('= did you mean "amount"?');
    expect(text).toContain('2 errors in 2 files');
  });
});

describe('a job file', () => {
  it('that breaks YAML is told where', async () => {
    const [found] = await problemsOf([job, 'source:', 'source: [']);
    expect(found).toMatchObject({ file: job, code: 'YAML_SYNTAX' });
  });

  it('that is empty is told what it should have been', async () => {
    expect(await problemsOf([job, '', '# nothing\n'])).toMatchObject([
      { file: job, line: 1, code: 'TYPE_WRONG', expected: 'a mapping' },
    ]);
  });

  it('that is not there is a diagnostic, with the nearest that is', async () => {
    const outcome = await loadJob('jobs/handbok.yaml');
    expect(outcome).toMatchObject({
      ok: false,
      diagnostics: [{ code: 'FILE_UNREADABLE', file: 'jobs/handbok.yaml', line: 1, nearest: 'jobs/handbook.yaml' }],
    });
  });

  it('may be a folder by mistake', async () => {
    expect(await loadJob('jobs')).toMatchObject({ ok: false, diagnostics: [{ message: 'jobs is a folder' }] });
  });

  it('cannot follow a topic that it does not write', async () => {
    const found = await problemsOf([job, '- { topic: scores, partitions: 3 }\n  ', '']);
    expect(found.map(({ line, code }) => [line, code])).toEqual([
      [13, 'KEY_MISSING'],
      [14, 'KEY_MISSING'],
    ]);
  });
});
