import { systemClock } from '../../time/clock.ts';
import { messageBatchOf } from '../message-batch-builder.ts';
import { Storage } from '../storage.ts';

/**
 * Appends COUNT messages to a topic of two partitions, a few at a time, and prints `appended N` after each. FIRST numbers the first one.
 *
 *   appending-producer.ts DIRECTORY TOPIC FIRST COUNT
 */
const [directory = '', topic = '', first = '0', count = '0'] = process.argv.slice(2);
await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
for (let at = Number(first); at < Number(first) + Number(count); at += 5) {
  const numbers = [0, 1, 2, 3, 4].map((step) => at + step);
  await storage.append(
    messageBatchOf(
      topic,
      numbers.map((number) => ({ value: `${'abcde'[number % 5]} ${number}`, partition: number % 2 })),
    ),
  );
  process.stdout.write(`appended ${at + 5}\n`);
}
process.stdout.write('done\n');
