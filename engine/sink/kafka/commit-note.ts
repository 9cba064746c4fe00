import { SluiceError, messageOf } from '../../error.ts';
import type { CommitMetadata } from '../../execution/commit-log.ts';

/** What is committed beside a position, in Kafka's offset metadata and in the state's header alike. */
export interface CommitNote {
  readonly metadata: CommitMetadata;
  /** Of the owner that committed. A later owner's is higher, even where the state store has forgotten it. */
  readonly epoch: number;
  /** The offset at which the task began with empty state: where a rebuild of lost state must start. */
  readonly origin: number;
}

const version = 1;

/** The note's form: short names, since the broker limits it (`offset.metadata.max.bytes`, 4,096 by default). -Infinity is null in JSON. */
interface StoredNote {
  readonly v: number;
  readonly seq: number;
  readonly w: readonly (readonly [partition: number, watermarkMs: number | null])[];
  readonly job: string;
  readonly model: string;
  readonly epoch: number;
  readonly origin: number;
}

/** The note as text. */
export function writeNote({ metadata, epoch, origin }: CommitNote): string {
  const stored: StoredNote = {
    v: version,
    seq: metadata.batchSequence,
    w: metadata.watermarksMs.map(({ partition, watermarkMs }) => [
      partition,
      watermarkMs === -Infinity ? null : watermarkMs,
    ]),
    job: metadata.jobDigest,
    model: metadata.modelDigest,
    epoch,
    origin,
  };
  return JSON.stringify(stored);
}

/**
 * The note that {@link writeNote} wrote.
 *
 * @param where it was found, as in "the position of `task fraud.scoring.transactions-3`".
 * @throws {SluiceError} `COMMIT_NOTE_UNREADABLE` when it is something else: another program commits under this group, or a later version of this one did.
 */
export function readNote(text: string, where: string): CommitNote {
  let stored: Partial<StoredNote> | null;
  try {
    stored = JSON.parse(text) as Partial<StoredNote> | null;
  } catch (error) {
    throw unreadable(where, messageOf(error), error);
  }
  const { v, seq, w, job, model, epoch, origin } = stored ?? {};
  if (v !== version) throw unreadable(where, `version ${String(v)}`);
  if (
    seq === undefined ||
    w === undefined ||
    job === undefined ||
    model === undefined ||
    epoch === undefined ||
    origin === undefined
  ) {
    throw unreadable(where, 'a note in which something is missing');
  }
  return {
    metadata: {
      batchSequence: seq,
      watermarksMs: w.map(([partition, watermarkMs]) => ({ partition, watermarkMs: watermarkMs ?? -Infinity })),
      jobDigest: job,
      modelDigest: model,
    },
    epoch,
    origin,
  };
}

function unreadable(where: string, found: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'COMMIT_NOTE_UNREADABLE',
    `what was committed beside ${where} must be a note of Sluice, version ${version}; got ${found}. ` +
      'Give each job a consumer group of its own, and run no older version on it than the last one that ran',
    { cause },
  );
}
