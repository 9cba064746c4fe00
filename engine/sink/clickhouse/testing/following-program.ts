import { EmbeddedClickHouse } from '../../../clickhouse/embedded-clickhouse.ts';
import { followTopic } from '../../../execution/follower.ts';
import { listedSchemas } from '../../../serde/testing/listed-schemas.ts';
import { EmbeddedTopicSource } from '../../../source/embedded/embedded-topic-source.ts';
import { EmbeddedPositions } from '../../../storage/embedded-positions.ts';
import { Storage } from '../../../storage/storage.ts';
import { systemClock } from '../../../time/clock.ts';
import { ClickHouseSink } from '../clickhouse-sink.ts';

/**
 * Follows the topic `fraud_predictions` into the table `predictions` of the directory's own ClickHouse, in small chunks, and says `chunk REPEATED
 * MESSAGES LAG` after each, `writing` as each insert goes out, and `clickhouse PID` at first. Runs until it is killed.
 *
 *   following-program.ts DIRECTORY CHUNK_ROWS
 */
const [directory = '', chunkRows = '100'] = process.argv.slice(2);
const say = (line: string): boolean => process.stdout.write(`${line}\n`);
await using storage = await Storage.open({ directory, access: 'write', clock: systemClock, checkpointIntervalMs: 50 });
await using clickHouse = await EmbeddedClickHouse.open({ directory, clock: systemClock });
say(`clickhouse ${clickHouse.endpoint.pid}`);
const sink = new ClickHouseSink({ clickHouse, table: 'predictions', registry: listedSchemas() });
await followTopic({
  source: new EmbeddedTopicSource(storage, 'fraud_predictions'),
  sink: {
    name: sink.name,
    delivery: sink.delivery,
    write: async (messages) => {
      const written = sink.write(messages);
      say('writing');
      await written;
    },
    [Symbol.asyncDispose]: () => sink[Symbol.asyncDispose](),
  },
  positions: new EmbeddedPositions(storage, 'clickhouse', 'fraud_predictions'),
  clock: systemClock,
  chunkRows: Number(chunkRows),
  chunkMs: 20,
  signal: new AbortController().signal,
  onProgress: ({ repeated, messages, lagRecords }) => {
    say(`chunk ${repeated} ${messages} ${lagRecords}`);
  },
  onRetry: ({ code }) => {
    say(`retry ${code}`);
  },
});
