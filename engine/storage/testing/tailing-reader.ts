import { systemClock } from '../../time/clock.ts';
import { EmbeddedTopicSource } from '../../source/embedded/embedded-topic-source.ts';
import { Storage } from '../storage.ts';

/**
 * Reads a topic of another process's log from its start and prints `read PARTITION OFFSET` for the first and last message of each poll of a
 * partition, and `gap …` if an offset is missing. Ends after EXPECTED messages with `done`.
 *
 *   tailing-reader.ts DIRECTORY TOPIC EXPECTED
 */
const [directory = '', topic = '', expected = '0'] = process.argv.slice(2);
await using storage = await Storage.open({ directory, access: 'read', clock: systemClock });
const source = new EmbeddedTopicSource(storage, topic);
const next = new Map((await source.ranges()).map(({ partition }) => [partition, 0]));
await source.seek([...next].map(([partition, offset]) => ({ partition, offset })));
process.stdout.write('ready\n');
let total = 0;
while (total < Number(expected)) {
  const polled = await source.poll({ maxRecords: 500, maxWaitMs: 10_000 });
  if (polled?.kind !== 'messages') continue;
  const { messages } = polled;
  for (let i = 0; i < messages.messageCount; i++) {
    const partition = messages.partitions[i] ?? 0;
    const offset = messages.offsets[i] ?? 0;
    if (offset !== next.get(partition)) process.stdout.write(`gap ${partition} ${next.get(partition)} ${offset}\n`);
    next.set(partition, offset + 1);
  }
  total += messages.messageCount;
  process.stdout.write(`read ${total}\n`);
}
process.stdout.write('done\n');
