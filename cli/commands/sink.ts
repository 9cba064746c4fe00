import type { Command } from 'commander';
import { ClusterClickHouse } from '../../engine/clickhouse/clickhouse-access.ts';
import { SluiceError } from '../../engine/error.ts';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { clusterRegistry } from '../../jobs/runtime/cluster/cluster-registry.ts';
import { loadSinkJob } from '../../jobs/sink-job.ts';
import { endAtOnce, endInTime, stopTimeoutMs } from '../end-in-time.ts';
import { refuse } from '../load-checked-job.ts';
import { loadClusterPart } from '../load-cluster-part.ts';
import { configFile, loadClusterSettings, type ConfigOption } from '../load-cluster-settings.ts';
import { stopSignal } from '../stop-signal.ts';

/** `sluice sink`: copies topics to ClickHouse, until it is stopped. */
export function addSinkCommand(program: Command): void {
  program
    .command('sink')
    .description('copy committed messages from Kafka to ClickHouse, each once, until Ctrl-C; also as several workers')
    .argument('<job>', 'sink job file, such as jobs/clickhouse-sink.yaml')
    .option(...configFile)
    .action(runSink);
}

async function runSink(path: string, options: ConfigOption): Promise<void> {
  const outcome = await loadSinkJob(path);
  const job = outcome.ok ? outcome.job : refuse(path, outcome);
  const settings = await loadClusterSettings(options);
  const { kafka, clickHouse: address } = settings;
  if (kafka === null || address === null) {
    const missing = kafka === null ? 'Kafka: set SLUICE_KAFKA_BROKERS' : 'ClickHouse: set SLUICE_CLICKHOUSE_URL';
    throw new SluiceError('SETTINGS_INVALID', `a sink job must know where its services are; nothing names ${missing}`);
  }
  const { signal } = stopSignal(endAtOnce);
  const logger = jsonLogger('sluice');
  endInTime(signal, stopTimeoutMs, logger);
  await using clickHouse = new ClusterClickHouse(address);
  const { runSinkJob } = await loadClusterPart(() => import('../../jobs/runtime/sink-run.ts'));
  await runSinkJob(
    job,
    {
      kafka: kafka.client,
      clickHouse,
      registry: clusterRegistry(settings, systemClock),
      logger,
      clock: systemClock,
      sessionTimeoutMs: kafka.sessionTimeoutMs,
    },
    signal,
  );
}
