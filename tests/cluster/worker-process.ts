import { valueAt } from '../../engine/record/column.ts';
import { columnOf } from '../../engine/record/record-batch.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { runWorker, type WorkerSettings } from './cluster-worker.ts';
import { runningTotalSection, textsOf } from './running-total.ts';

const [argument = '{}'] = process.argv.slice(2);
const settings = JSON.parse(argument) as WorkerSettings;
await runWorker(settings, ({ worker, partition }) => ({
  watermark: { delayMs: 0, maxFutureSkewMs: 60_000 },
  openSection: runningTotalSection,
  encode: (records) => {
    const ids = textsOf(records, 'id');
    const totals = columnOf(records, 'total');
    const values = ids.map((id, row) => ({ value: JSON.stringify({ id, total: valueAt(totals, row) }), partition }));
    return { messages: [messageBatchOf(worker.output, values)], deadLetters: [] };
  },
  encodeDeadLetters: () => {
    throw new Error('these tests send no bad records');
  },
}));
process.exit();
