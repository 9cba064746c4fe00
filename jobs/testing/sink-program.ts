import { ClusterClickHouse } from '../../engine/clickhouse/clickhouse-access.ts';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { listedSchemas } from '../../engine/serde/testing/listed-schemas.ts';
import { runSinkJob } from '../runtime/sink-run.ts';
import type { Copy } from '../sink-job.ts';
import type { CopyBounds } from '../runtime/sink-partition.ts';

/** What a worker of a sink job is told on its command line, as JSON. */
export interface SinkProgramSettings {
  readonly brokers: readonly string[];
  readonly clickHouseUrl: string;
  readonly name: string;
  readonly copies: readonly Copy[];
  readonly sessionTimeoutMs: number;
  readonly bounds: Partial<CopyBounds>;
}

/**
 * A worker of a sink job that says what it does: `chunk TOPIC PARTITION MESSAGES LAG REPEATED` after each chunk, `retry CODE` and `error CODE` as they
 * come. Ends well at SIGTERM; tests kill it.
 */
async function work(settings: SinkProgramSettings): Promise<void> {
  const { brokers, clickHouseUrl, name, copies, sessionTimeoutMs, bounds } = settings;
  const say = (line: string): void => {
    process.stdout.write(`${line}\n`);
  };
  const log = jsonLogger(name);
  await using clickHouse = new ClusterClickHouse({ url: clickHouseUrl });
  const stopped = new AbortController();
  process.once('SIGTERM', () => stopped.abort());
  say('started');
  await runSinkJob(
    { name, app: 'test', copies },
    {
      kafka: { brokers, clientId: name },
      clickHouse,
      registry: listedSchemas(),
      clock: systemClock,
      sessionTimeoutMs,
      bounds,
      logger: {
        info: (message, fields) => log.info(message, fields),
        warn: (message, fields) => {
          log.warn(message, fields);
          say(`retry ${String(fields?.['code'])}`);
        },
        error: (message, fields) => {
          log.error(message, fields);
          say(`error ${String(fields?.['code'])}`);
        },
      },
      onProgress: ({ topic }, partition, { messages, lagRecords, repeated }) =>
        say(`chunk ${topic} ${partition} ${messages} ${lagRecords} ${repeated}`),
    },
    stopped.signal,
  );
  say('ended');
}

try {
  await work(JSON.parse(process.argv[2] ?? '') as SinkProgramSettings);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  process.exitCode = 1;
}
