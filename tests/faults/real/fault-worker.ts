import { valueAt } from '../../../engine/record/column.ts';
import { columnOf } from '../../../engine/record/record-batch.ts';
import { encodeDeadLetters } from '../../../engine/serde/dead-letter-encoder.ts';
import { messageBatchOf } from '../../../engine/storage/message-batch-builder.ts';
import { runWorker, type WorkerSettings } from '../../cluster/cluster-worker.ts';
import { job } from '../simulation/input-log.ts';
import { openSection } from '../simulation/simulated-job.ts';
import { realBugs } from './planted-bugs.ts';
import { bothSeams, trappedSeams } from './seams.ts';

/** What a worker of a run is told, beside what any worker is. */
export interface FaultWorkerSettings extends WorkerSettings {
  readonly deadLetters: string;
  readonly partitions: number;
  /** Where it looks for traps. */
  readonly trapFile: string;
  /** The name of a planted bug; empty for none. */
  readonly bug: string;
}

const [argument = '{}'] = process.argv.slice(2);
const settings = JSON.parse(argument) as FaultWorkerSettings;
const bug = settings.bug === '' ? {} : realBugs[settings.bug];
if (bug === undefined) throw new Error(`there is no bug of the name ${settings.bug}`);

// Whoever started it is at the other end: a worker without one would go on for ever.
process.stdin.once('close', () => process.exit(1)).resume();

await runWorker(
  settings,
  ({ worker, partition }) => ({
    watermark: { delayMs: job.delayMs, maxFutureSkewMs: job.maxFutureSkewMs },
    openSection,
    encode: (records) => {
      const column = (name: string, row: number): number | string | null => valueAt(columnOf(records, name), row);
      const values = Array.from({ length: records.rowCount }, (_, row) => ({
        partition,
        value: JSON.stringify({
          id: column('id', row),
          card: column('card', row),
          source_offset: records.offsets[row],
          total: column('total', row),
          count: column('count', row),
          sum: column('sum', row),
        }),
      }));
      return { messages: [messageBatchOf(worker.output, values)], deadLetters: [] };
    },
    encodeDeadLetters: (letters) => encodeDeadLetters(settings.deadLetters, letters, settings.partitions),
  }),
  bothSeams(bug, trappedSeams(settings.trapFile)),
);
process.exit();
