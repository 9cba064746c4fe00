import { parentPort, workerData } from 'node:worker_threads';
import { ClusterClickHouse } from '../../clickhouse/clickhouse-access.ts';
import type { ClickHouseAddress } from '../../clickhouse/create-clickhouse.ts';
import { messageOf, SluiceError } from '../../error.ts';
import { openSchemaRegistry } from '../../serde/open-schema-registry.ts';
import { systemClock } from '../../time/clock.ts';
import { ClickHouseSink } from './clickhouse-sink.ts';
import type { SinkThreadReply, SinkThreadRequest, SinkThreadSettings } from './sink-thread-protocol.ts';

/** The thread of {@link ThreadedClickHouseSink}: an ordinary sink, with an event loop of its own. Writes one chunk at a time. */
const { table, registry } = workerData as SinkThreadSettings;
const schemas = openSchemaRegistry(registry, systemClock);
let open: { readonly url: string; readonly clickHouse: ClusterClickHouse; readonly sink: ClickHouseSink } | null = null;

/** The sink for where the server listens now: after a restart it may be elsewhere. */
async function sinkAt(address: ClickHouseAddress): Promise<ClickHouseSink> {
  if (open?.url === address.url) return open.sink;
  await open?.clickHouse[Symbol.asyncDispose]();
  const clickHouse = new ClusterClickHouse(address);
  open = { url: address.url, clickHouse, sink: new ClickHouseSink({ clickHouse, table, registry: schemas }) };
  return open.sink;
}

async function write({ address, messages }: SinkThreadRequest): Promise<SinkThreadReply> {
  try {
    const sink = await sinkAt(address);
    await sink.write(messages);
    return { kind: 'written' };
  } catch (thrown) {
    const { code, retryable, fields } =
      thrown instanceof SluiceError ? thrown : { code: null, retryable: 'permanent' as const, fields: {} };
    return { kind: 'failed', code, message: messageOf(thrown), retryable, fields };
  }
}

parentPort?.on('message', (request: SinkThreadRequest) => {
  void write(request).then((reply) => parentPort?.postMessage(reply, []));
});
