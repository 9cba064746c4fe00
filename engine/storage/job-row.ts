import type { CommitMetadata } from '../execution/commit-log.ts';
import type { PartitionOffset } from '../source/source.ts';

/** Where a job stands, as one value: rewritten by each commit. */
export interface JobRow {
  readonly committed: readonly PartitionOffset[];
  readonly metadata: CommitMetadata;
  readonly stateAt: readonly PartitionOffset[];
  /** `null` until state has been written once. */
  readonly stateMetadata: CommitMetadata | null;
}

/** JSON, which has no infinities: the watermark of a partition that has seen no event time is written as `null`. */
export function encodeJobRow(row: JobRow): Buffer {
  return Buffer.from(
    JSON.stringify({
      ...row,
      metadata: withoutInfinities(row.metadata),
      stateMetadata: row.stateMetadata === null ? null : withoutInfinities(row.stateMetadata),
    }),
  );
}

/** Reads a row as `encodeJobRow` wrote it. */
export function decodeJobRow(data: Buffer): JobRow {
  const row = JSON.parse(data.toString('utf8')) as JobRow;
  return {
    ...row,
    metadata: withInfinities(row.metadata),
    stateMetadata: row.stateMetadata === null ? null : withInfinities(row.stateMetadata),
  };
}

function withoutInfinities(metadata: CommitMetadata): unknown {
  return {
    ...metadata,
    watermarksMs: metadata.watermarksMs.map(({ partition, watermarkMs }) => ({
      partition,
      watermarkMs: watermarkMs === -Infinity ? null : watermarkMs,
    })),
  };
}

function withInfinities(metadata: CommitMetadata): CommitMetadata {
  return {
    ...metadata,
    watermarksMs: metadata.watermarksMs.map(
      ({ partition, watermarkMs }: { partition: number; watermarkMs: number | null }) => ({
        partition,
        watermarkMs: watermarkMs ?? -Infinity,
      }),
    ),
  };
}
