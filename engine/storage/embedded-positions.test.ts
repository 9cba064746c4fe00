import { followerPositionsConformance } from '../execution/follower-positions.conformance.ts';
import { systemClock } from '../time/clock.ts';
import { EmbeddedPositions } from './embedded-positions.ts';
import { Storage } from './storage.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

followerPositionsConformance('the embedded log', async () => {
  const directory = temporaryDirectory();
  const storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  storage.createTopic('topic', { partitionCount: 1 });
  return {
    own: () => Promise.resolve(new EmbeddedPositions(storage, 'group', 'topic')),
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
});
