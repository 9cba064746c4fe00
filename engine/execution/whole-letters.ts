import type { DeadLetter } from '../record/dead-letter.ts';
import { messageValue, type MessageBatch } from '../record/message-batch.ts';

/**
 * Dead letters with the original bytes: whoever found the fault after decoding knew the record's position only. Called once for each batch, before they are encoded.
 *
 * @param messages `null` for a batch of records, which have no bytes.
 */
export function withBytes(deadLetters: readonly DeadLetter[], messages: MessageBatch | null): readonly DeadLetter[] {
  if (messages === null) return deadLetters;
  return deadLetters.map((letter) => {
    if (letter.value !== null) return letter;
    for (let i = 0; i < messages.messageCount; i++) {
      if (messages.offsets[i] === letter.offset && messages.partitions[i] === letter.partition) {
        return { ...letter, value: messageValue(messages, i) };
      }
    }
    return letter;
  });
}
