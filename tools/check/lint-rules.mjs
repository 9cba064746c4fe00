/**
 * Sluice's own lint rules, loaded by `.oxlintrc.json` (an ESLint-style plugin, run by oxlint).
 *
 * `sluice/ambient-time`: time, timers and chance come from a `Clock` or a seeded generator that is passed in, or a replay could
 * not reproduce a run. Only `engine/time` and `engine/random` may touch the machine's own; `.oxlintrc.json` says where the rule
 * is off.
 */

const FORBIDDEN_MEMBERS = {
  Date: new Set(['now']),
  Math: new Set(['random']),
  performance: new Set(['now', 'timeOrigin']),
  process: new Set(['hrtime', 'uptime']),
};
const FORBIDDEN_CALLS = new Set(['setTimeout', 'setInterval']);
const FORBIDDEN_MODULES = new Set(['node:timers', 'node:timers/promises', 'timers', 'timers/promises']);

/** The name of the object of a member expression, seeing through `globalThis.`; undefined where it is not a plain name. */
function objectName(node) {
  if (node.type === 'Identifier') return node.name;
  if (node.type === 'MemberExpression' && node.object.type === 'Identifier' && node.object.name === 'globalThis') {
    return node.property.name;
  }
  return undefined;
}

const ambientTime = {
  meta: {
    type: 'problem',
    docs: { description: 'time, timers and chance are passed in, never taken from the machine' },
    schema: [],
  },
  create(context) {
    const report = (node, what) =>
      context.report({
        node,
        message: `${what} reads the machine's own time or chance; take a Clock (engine/time) or a seeded generator by parameter`,
      });
    return {
      MemberExpression(node) {
        const object = objectName(node.object);
        if (object !== undefined && FORBIDDEN_MEMBERS[object]?.has(node.property.name)) {
          report(node, `${object}.${node.property.name}`);
        }
        if (object === 'globalThis' && FORBIDDEN_CALLS.has(node.property.name)) report(node, node.property.name);
      },
      CallExpression(node) {
        if (node.callee.type !== 'Identifier') return;
        if (FORBIDDEN_CALLS.has(node.callee.name)) report(node, node.callee.name);
        if (node.callee.name === 'Date') report(node, 'Date()');
      },
      NewExpression(node) {
        if (node.callee.type === 'Identifier' && node.callee.name === 'Date' && node.arguments.length === 0) {
          report(node, 'new Date() without an argument');
        }
      },
      ImportDeclaration(node) {
        if (FORBIDDEN_MODULES.has(node.source.value)) report(node, node.source.value);
      },
    };
  },
};

export default { meta: { name: 'sluice' }, rules: { 'ambient-time': ambientTime } };
