/**
 * A plugin for Stryker: leaves the message of an `assert(condition, message)` as it is. An assertion that fails is a bug of ours, and its message is for whoever
 * mends it: no test should hold its words. The condition is mutated like everything else.
 */
export const strykerPlugins = [
  {
    kind: 'Ignore',
    name: 'assert-messages',
    value: {
      /** @returns {string | undefined} the reason, which Stryker reports; undefined where the node is to be mutated */
      shouldIgnore(path) {
        const call = path.parent;
        const isMessage =
          path.listKey === 'arguments' &&
          path.key === 1 &&
          call?.type === 'CallExpression' &&
          call.callee.type === 'Identifier' &&
          call.callee.name === 'assert';
        return isMessage ? 'the words of an assertion are for whoever mends the bug' : undefined;
      },
    },
  },
];
