import { z } from 'zod';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import { inReadingOrder } from '../engine/plan/diagnostic.ts';
import type { PlanDocument } from '../engine/plan/plan-document.ts';
import type { SourceTexts } from '../engine/plan/render-diagnostics.ts';
import { checkParts, type PartSchemas } from './check/check-parts.ts';
import { checkTopic } from './check/check-topic.ts';
import { JobFiles } from './job-files.ts';

/** A topic whose committed messages go to a table as they are. */
export interface Copy {
  readonly topic: string;
  /** `table` or `database.table`. */
  readonly table: string;
}

/** A sink job after every check: frozen plain data. */
export interface SinkJob {
  readonly name: string;
  /** Names the installation, as in a job: prefix of consumer groups and transactional ids. */
  readonly app: string;
  readonly copies: readonly Copy[];
}

/** What a sink job's file holds. */
interface SinkParts {
  readonly job: string;
  readonly app: string | undefined;
  readonly description: string | undefined;
  readonly copy: readonly CopyPart[];
}

interface CopyPart {
  readonly topic: string;
  readonly clickhouse: string;
}

/** A sink job, or all that is wrong with its file. */
export type SinkJobOutcome =
  | { readonly ok: true; readonly job: SinkJob }
  | {
      readonly ok: false;
      /** In reading order; never empty. */
      readonly diagnostics: readonly Diagnostic[];
      readonly sources: SourceTexts;
    };

const tableName = /^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$/;
const name = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'a name of letters, digits, "_" and "-", at most 100');

const sinkParts: PartSchemas<SinkParts> = {
  job: name.meta({ description: "the sink's name: of its consumer groups, one for each topic" }),
  app: name.optional().meta({ description: 'names the installation, as in a job; default sluice' }),
  description: z.string().optional(),
  copy: z
    .array(
      z.strictObject({
        topic: z
          .string()
          .min(1)
          .meta({ description: 'a topic of JSON objects or of Avro records; only what is committed is read' }),
        clickhouse: z
          .string()
          .regex(tableName, 'a table: letters, digits and _, after a database and a dot or alone')
          .meta({ description: 'the table; its columns are named as the fields' }),
      }),
    )
    .min(1)
    .meta({ description: 'which topic goes where' }),
};

/** Whether a file is a sink job's: it says what to copy. Asked of a file that is to be run as a job, where every key would be found wrong. */
export function isSinkJob({ value }: PlanDocument): boolean {
  return typeof value === 'object' && value !== null && 'copy' in value && !('source' in value);
}

/** A whole sink job's file: the JSON Schema for editors is made of it. */
export const sinkFile: z.ZodType = z
  .strictObject(sinkParts)
  .meta({ title: 'Sluice sink job', description: 'Topics that are copied to ClickHouse, message by message' });

/**
 * Reads and checks the file of a sink job. Called by `sluice sink` and `sluice validate`; looks at no service.
 *
 * @param path the file's.
 */
export async function loadSinkJob(path: string): Promise<SinkJobOutcome> {
  const files = new JobFiles(path);
  const job = await checkSinkJob(files);
  if (job !== null && files.diagnostics.length === 0) return { ok: true, job };
  return { ok: false, diagnostics: inReadingOrder(files.diagnostics), sources: files.sources };
}

async function checkSinkJob(files: JobFiles): Promise<SinkJob | null> {
  const document = await files.readJob();
  if (document === null) return null;
  files.diagnostics.push(...document.diagnostics);
  if (document.diagnostics.length > 0) return null;
  const parts = checkParts(document, [], sinkParts, files.diagnostics);
  if (parts?.job === undefined || parts.copy === undefined) return null;
  checkCopies(document, parts.copy, files.diagnostics);
  const copies = parts.copy.map(({ topic, clickhouse }) => Object.freeze({ topic, table: clickhouse }));
  return Object.freeze({ name: parts.job, app: parts.app ?? 'sluice', copies: Object.freeze(copies) });
}

/** A topic has one position in a sink job, so it is copied once; several topics may share a table. */
function checkCopies(document: PlanDocument, copies: readonly CopyPart[], diagnostics: Diagnostic[]): void {
  copies.forEach(({ topic }, index) => {
    const path = ['copy', index, 'topic'];
    checkTopic(document, path, topic, diagnostics);
    if (copies.findIndex((other) => other.topic === topic) === index) return;
    const message = `the topic "${topic}" is already copied by this job`;
    const expected = 'another topic, or a sink job of its own';
    diagnostics.push(document.atValue(path, { code: 'NAME_DUPLICATE', message, expected }));
  });
}
