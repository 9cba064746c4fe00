import { z } from 'zod';
import { durationText } from '../engine/plan/duration-text.ts';
import { nearestName } from '../engine/plan/nearest-name.ts';
import type { FieldType } from '../engine/record/schema.ts';
import type { OutputMode } from '../operators/window/output-modes.ts';
import { amendPart, type AmendPart } from './check/check-amend-shape.ts';
import { joinPart, type JoinPart } from './check/check-join-shape.ts';
import { enrichPart, type EnrichPart } from './check/check-enrich-shape.ts';
import type { PartSchemas } from './check/check-parts.ts';
import { flatMapPart, type FlatMapPart } from './check/check-records-shape.ts';
import { patternPart, sessionsPart, type PatternPart, type SessionsPart } from './check/check-pattern-shape.ts';
import { windowsPart, type WindowsPart } from './check/check-window-shape.ts';

/** A field's type as job files write it; with `?` a record may come without the field. */
export type FieldTypeText = FieldType | `${FieldType}?`;

/** What `source:` holds. Where records come from is one of the first five. Durations are in milliseconds. */
export interface SourceParts {
  readonly topic: string | undefined;
  readonly parquet: string | undefined;
  readonly csv: string | undefined;
  readonly jsonl: string | undefined;
  readonly simulator: SimulatorPart | undefined;
  readonly format: string | undefined;
  readonly schema: string | undefined;
  readonly fields: Readonly<Record<string, FieldTypeText>> | undefined;
  readonly key: string;
  readonly eventTime: EventTimePart;
  readonly duplicates: { readonly by: string; readonly within: number } | undefined;
  readonly copyOf: { readonly clickhouse: string; readonly every?: number | undefined } | undefined;
}

/** What `source.simulator:` holds. */
export interface SimulatorPart {
  readonly world: 'stream' | 'handbook';
  readonly ratePerSecond?: number | undefined;
  readonly seed?: number | undefined;
  readonly drift?: 'none' | 'drill' | undefined;
}

/** What `source.eventTime:` holds. */
export interface EventTimePart {
  readonly field: string;
  readonly delay: number;
  readonly idleTimeout?: number | undefined;
  readonly advanceOnIdle?: boolean | undefined;
  readonly maxDrift?: number | undefined;
  readonly maxFutureSkew?: number | undefined;
}

/** What `score:` holds. */
export interface ScorePart {
  readonly model: string;
  readonly shadow?: unknown;
  readonly threshold?: 'model' | number | undefined;
  readonly explain?: number | undefined;
}

/** What an item of `sinks:` holds: one of the first four, and what belongs to it. */
export interface SinkPart {
  readonly topic?: string | undefined;
  readonly clickhouse?: string | undefined;
  readonly jsonl?: string | undefined;
  readonly console?: number | undefined;
  readonly format?: string | undefined;
  readonly partitions?: number | undefined;
  readonly where?: string | undefined;
}

/** What `state:` holds. */
export interface StatePart {
  readonly flushEvery?: number | undefined;
  readonly online?: true | OnlinePart | undefined;
}

/** What `state.online:` holds where it is more than `true`. */
export interface OnlinePart {
  readonly entities?: readonly string[] | undefined;
  readonly ttl?: number | undefined;
}

/** What `trigger:` holds. */
export type TriggerPart = 'realtime' | 'availableNow' | 'once' | { readonly processingTime: number };

/** What a job file holds, but for its sources, which are checked key by key. */
export interface JobParts {
  readonly job: string;
  readonly app: string | undefined;
  readonly description: string | undefined;
  readonly source: unknown;
  /** Checked as sources are, one by one. */
  readonly sources: Readonly<Record<string, unknown>> | undefined;
  readonly join: JoinPart | readonly JoinPart[] | undefined;
  readonly union: readonly string[] | undefined;
  /** Checked as sources are, one by one. */
  readonly tables: Readonly<Record<string, unknown>> | undefined;
  readonly enrich: readonly EnrichPart[] | undefined;
  readonly select: Readonly<Record<string, string>> | undefined;
  readonly where: string | undefined;
  readonly flatMap: FlatMapPart | undefined;
  readonly sessions: SessionsPart | undefined;
  readonly features: 'none' | readonly string[];
  readonly windows: WindowsPart | undefined;
  readonly pattern: PatternPart | undefined;
  readonly amendments: AmendPart | undefined;
  readonly outputMode: OutputMode | undefined;
  readonly trigger: TriggerPart | undefined;
  readonly maxOffsetsPerTrigger: number | undefined;
  readonly score: ScorePart | undefined;
  readonly sinks: readonly SinkPart[];
  readonly late:
    | {
        readonly allowedLateness?: number | undefined;
        readonly policy?: string | undefined;
        readonly topic?: string | undefined;
      }
    | undefined;
  readonly deadLetters: 'fail' | { readonly topic: string; readonly format?: string | undefined } | undefined;
  readonly state: StatePart | undefined;
  readonly exchange: { readonly partitions?: number | undefined } | undefined;
  readonly guarantee: string | undefined;
}

/** Where records may come from; exactly one of these keys is in a source. */
export const originKinds = ['topic', 'parquet', 'csv', 'jsonl', 'simulator'] as const;

/** Where results may go; exactly one of these keys is in a sink. */
export const sinkKinds = ['topic', 'clickhouse', 'jsonl', 'console'] as const;

/**
 * One of several words, of which some are known and not built yet: refused in words of their own, so that no one who asked for them believes to have them.
 */
function choice(built: readonly string[], planned: readonly string[]): z.ZodType<string> {
  const expected = built.length === 1 ? (built[0] ?? '') : `one of ${built.join(', ')}`;
  return z
    .string()
    .meta({ enum: [...built] })
    .superRefine((text, context) => {
      if (built.includes(text)) return;
      const message = planned.includes(text) ? `"${text}" is not built yet` : `"${text}" is not a choice that there is`;
      const nearest = planned.includes(text) ? null : nearestName(text, built);
      context.addIssue({ code: 'custom', message, params: { expected, nearest } });
    });
}

const required = (...keys: readonly string[]): { required: string[] }[] => keys.map((key) => ({ required: [key] }));
const name = z.string().min(1);
const fieldTypes: readonly FieldType[] = ['double', 'long', 'boolean', 'timestamp', 'string'];
const fieldTypeTexts = fieldTypes.flatMap((type): FieldTypeText[] => [type, `${type}?`]);
const format = choice(['json', 'avro'], []);

/** The keys of `source:`. Their order is that of the published JSON Schema. */
export const sourceParts: PartSchemas<SourceParts> = {
  topic: name.optional().meta({ description: 'the topic to read' }),
  parquet: name.optional().meta({ description: 'a Parquet file, relative to the job file; read once, to its end' }),
  csv: name.optional().meta({ description: 'a CSV file with a header, relative to the job file' }),
  jsonl: name.optional().meta({ description: 'a file of JSON lines, relative to the job file' }),
  simulator: z
    .strictObject({
      world: z.enum(['stream', 'handbook']).meta({ description: "an endless stream, or the Handbook's 183 days" }),
      ratePerSecond: z.number().positive().optional().meta({ description: 'without it, as fast as they are read' }),
      seed: z.int().min(0).optional(),
      drift: z.enum(['none', 'drill']).optional().meta({ description: 'drill: the world changes on day 110' }),
    })
    .optional()
    .meta({ description: 'records made up on the spot' }),
  format: format.optional().meta({ description: 'how the messages of a topic are written; default json' }),
  schema: name.optional().meta({
    description:
      'schemas/NAME.avsc, or the path of an Avro schema (.avsc) or a JSON Schema (.json), relative to the job file',
  }),
  fields: z
    .record(z.string(), z.enum(fieldTypeTexts))
    .optional()
    .meta({ description: 'the record\'s fields and their types, in the place of "schema"; "double?" may be absent' }),
  key: name.meta({ description: 'the field that keys the topic: records of one key are in one partition, in order' }),
  eventTime: z
    .strictObject({
      field: name.meta({ description: 'the timestamp field that event time is read from' }),
      delay: durationText('zero').meta({ description: 'how far behind the newest record the watermark is' }),
      idleTimeout: durationText('positive').optional().meta({
        description:
          'a partition that was read to its end and has brought nothing for this long holds back no answer that waits for others; default 30s',
      }),
      advanceOnIdle: z.boolean().optional().meta({
        description:
          'the watermark of an idle partition goes on by the clock, so that results depend on speed; default false',
      }),
      maxDrift: durationText('positive').optional().meta({
        description:
          'a partition whose watermark is this far ahead of the least is not read until the others have caught up',
      }),
      maxFutureSkew: durationText('zero').optional().meta({
        description: 'a record further ahead of its broker timestamp does not move the watermark; default 5m',
      }),
    })
    .meta({ description: 'how event time is read, and what is expected of its order' }),
  copyOf: z
    .strictObject({
      clickhouse: name.meta({ description: "a query that gives a row for each key: the table's fields by name" }),
      every: durationText('positive').optional().meta({ description: 'how often it is asked; default 1m' }),
    })
    .optional()
    .meta({ description: 'of a table: what the job fills its topic from, row by row as they change' }),
  duplicates: z
    .strictObject({ by: name, within: durationText('positive', 'forever') })
    .optional()
    .meta({
      description:
        'a record with the same id, less than "within" from one let through before it, is dropped; "forever" keeps every id',
    }),
};

const score: z.ZodType<ScorePart> = z.strictObject({
  model: name.meta({ description: 'name@alias (champion, challenger, previous) or name@version' }),
  shadow: z
    .unknown()
    .optional()
    .superRefine((value, context) => {
      if (value === undefined) return;
      const params = { expected: 'no "shadow"', at: 'key' };
      context.addIssue({ code: 'custom', message: '"shadow" is not built yet', params });
    })
    .meta({ not: {}, description: 'not built yet' }),
  threshold: z
    .union([z.literal('model'), z.number().min(0).max(1)])
    .optional()
    .meta({
      description: 'from which probability on a record is flagged; model (the default): the one it was made with',
    }),
  explain: z.int().min(0).max(20).optional().meta({
    description: 'how many reasons an alert carries: the features that spoke for it most, by exact Shapley values',
  }),
});

const sink: z.ZodType<SinkPart> = z
  .strictObject({
    topic: name.meta({ description: 'the topic that results are committed to, together with positions and state' }),
    clickhouse: name.meta({ description: 'a table that follows the first topic' }),
    jsonl: name.meta({ description: 'a file of JSON lines that follows the first topic, relative to the job file' }),
    console: durationText('positive').meta({ description: 'how often a line about the progress is printed' }),
    format: format.meta({ description: 'of a topic; default json' }),
    partitions: z.int().min(1).max(1024).meta({ description: "of a topic that is made; default the source's" }),
    where: name.meta({ description: 'of a topic: only results for which this is true go there; default all' }),
  })
  .partial()
  .meta({ oneOf: required(...sinkKinds) });

/** The keys of a job file, in the order in which a record meets what they say. `source:` is any mapping here; see {@link sourceParts}. */
export const jobParts: PartSchemas<JobParts> = {
  job: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'a name of letters, digits, "_" and "-", at most 100')
    .meta({ description: "the job's name: of its consumer group, its positions and its state" }),
  app: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'a name of letters, digits, "_" and "-", at most 100')
    .optional()
    .meta({ description: 'names the installation, where several share one cluster; default sluice' }),
  description: z.string().optional(),
  source: z.record(z.string(), z.unknown()).optional(),
  sources: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  join: joinPart
    .optional()
    .meta({ description: 'the records of two inputs that belong together, as one; a list joins more' }),
  union: z.array(name).optional().meta({
    description: 'all of "sources": their records as one stream, with the input\'s name in "input"',
  }),
  select: z
    .record(z.string(), z.string().min(1))
    .optional()
    .meta({ description: 'what comes out of a join, as expressions by name; without it, every field of both records' }),
  where: z
    .string()
    .min(1)
    .optional()
    .meta({ description: 'only records for which this is true go on; the others are counted' }),
  flatMap: flatMapPart.optional().meta({ description: 'a record for each item of a list, with what is in the record' }),
  sessions: sessionsPart.optional().meta({
    description: 'tells each record its session at once: session_id, session_number, session_start',
  }),
  tables: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  enrich: z
    .array(enrichPart)
    .min(1)
    .optional()
    .meta({ description: 'what records are looked up in: columns of tables' }),
  features: z.union([z.literal('none'), z.array(name).min(1)]).meta({
    description: 'features/NAME.yaml, or paths relative to the job file; "none" for a job that computes none',
  }),
  windows: windowsPart.optional().meta({ description: 'windows over the records of a key, in the place of features' }),
  pattern: patternPart.optional().meta({
    description: 'a record and a later one of its key within a time, in the place of features',
  }),
  amendments: amendPart.optional().meta({
    description: 'tells decisions anew, to a topic, whose features a late record has changed',
  }),
  outputMode: z.enum(['append', 'update', 'complete']).optional().meta({
    description:
      'of windows: each result once, when it is final (append, the default); with every change; the whole table',
  }),
  trigger: z
    .union([z.enum(['realtime', 'availableNow', 'once']), z.strictObject({ processingTime: durationText('positive') })])
    .optional()
    .meta({
      description:
        'when the next batch begins: as soon as there is something (realtime, the default), every so often, or only for what is there now (availableNow; once: without the limit)',
    }),
  maxOffsetsPerTrigger: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'the most records that are read at once, split among partitions by how far each is behind' }),
  score: score.optional().meta({ description: 'without it the job publishes features' }),
  sinks: z.array(sink).min(1).meta({ description: 'where results go; the others follow the first topic' }),
  late: z
    .strictObject({
      allowedLateness: durationText('zero')
        .optional()
        .meta({ description: 'how long after the watermark a record still finds its whole window; default 0s' }),
      policy: choice(['answer', 'route', 'update', 'drop'], []).optional().meta({
        description:
          'what becomes of a late record: it is answered, and flagged (features); it goes to a topic, lets its window fire again while it is kept, or is dropped and counted (windows)',
      }),
      topic: name.optional().meta({ description: 'where late records of windows go; default JOB-late' }),
    })
    .optional(),
  deadLetters: z
    .union([z.literal('fail'), z.strictObject({ topic: name, format: format.optional() })])
    .optional()
    .meta({ description: 'where bad records go, or "fail" to stop at the first; default the topic JOB-dead-letters' }),
  state: z
    .strictObject({
      flushEvery: durationText('zero').optional().meta({ description: 'default 1s' }),
      online: z
        .union([
          z.literal(true),
          z.strictObject({
            entities: z.array(name).min(1).optional().meta({ description: 'default: all; "card_id", "customer+day"' }),
            ttl: durationText('positive').optional().meta({ description: 'how long a key outlives its last record' }),
          }),
        ])
        .optional()
        .meta({
          description:
            "keeps each key's latest feature values as a Redis hash, APP:online:{ENTITY}:KEY; needs the profile cluster",
        }),
    })
    .optional(),
  exchange: z
    .strictObject({
      partitions: z
        .int()
        .min(1)
        .max(1024)
        .optional()
        .meta({ description: "default: as many as the source's topic has" }),
    })
    .optional()
    .meta({
      description: 'of the topics through which records reach entities that are not the key of the topic, on a cluster',
    }),
  guarantee: choice(['exactly-once'], ['at-least-once']).optional(),
};

const source = z.strictObject(sourceParts).meta({
  description: 'where records come from, and what they are',
  allOf: [{ oneOf: required(...originKinds) }, { oneOf: required('schema', 'fields') }],
});

/** A whole job file. The JSON Schema for editors is made of it; `load-job.ts` checks its parts one by one. */
export const jobFile: z.ZodType = z
  .strictObject({
    ...jobParts,
    source: source.optional(),
    sources: z
      .record(z.string(), source)
      .optional()
      .meta({ description: 'inputs by name, each as "source" has it; "join" or "union" says what becomes of them' }),
    tables: z.record(z.string(), source).optional().meta({
      description: 'tables by name, each as "source" has it: a topic, or a file, whose records are versions of its key',
    }),
  })
  .meta({
    title: 'Sluice job',
    description: 'One stream: its source, features, model and sinks',
    oneOf: required('source', 'sources'),
  });
