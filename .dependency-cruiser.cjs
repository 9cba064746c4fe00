/**
 * Which room may import which, and which vendor's package is imported where. The order is ARCHITECTURE.md's:
 *
 *   cli, service -> jobs -> learning -> features -> operators -> engine -> schemas;  jobs -> simulation -> engine, schemas
 *
 * A room may import itself and every room to its right.
 */
const order = ['jobs', 'learning', 'features', 'operators', 'engine', 'schemas'];
const rooms = ['cli', 'service', ...order, 'simulation'];

/** Rooms that `room` may not import: every one but itself and those to its right. */
function forbiddenFor(room) {
  if (room === 'cli' || room === 'service') return room === 'cli' ? [] : ['cli'];
  const rightwards = room === 'simulation' ? ['simulation', 'engine', 'schemas'] : order.slice(order.indexOf(room));
  // A job file may name the simulator as its source.
  const allowed = room === 'jobs' ? [...rightwards, 'simulation'] : rightwards;
  return rooms.filter((other) => !allowed.includes(other));
}

/**
 * What is not shipped: may import any room, and no product file may import it. A `testing/` folder inside a room is for that
 * room's own tests; engine/testing, the kit that users get as well, is product.
 */
const notProduct =
  '(\\.(test|bench|conformance)\\.ts$|^(tests|bench|tools)/|\\.config\\.ts$|^(?!engine/testing/).+/testing/)';

const direction = rooms
  .filter((room) => forbiddenFor(room).length > 0)
  .map((room) => ({
    name: `direction-${room}`,
    comment: `${room} may not import ${forbiddenFor(room).join(', ')}: imports go one way only`,
    severity: 'error',
    from: { path: `^${room}/`, pathNot: notProduct },
    to: { path: `^(${forbiddenFor(room).join('|')})/` },
  }));

/** One vendor package, one place. `home` is a pattern of the product files that may import it; tests beside them may, too. */
const vendorHomes = {
  '@confluentinc/kafka-javascript': '^engine/(source|sink|execution)/kafka',
  ioredis: '^engine/state/redis',
  lmdb: '^engine/(storage/|.*embedded)',
  '@clickhouse/client': '^engine/.*clickhouse',
  chdb: '^engine/.*clickhouse',
  'onnxruntime-node': '^engine/model/',
  avsc: '^engine/serde/',
  hyparquet: '^engine/(source|sink)/.*parquet',
  'hyparquet-compressors': '^engine/(source|sink)/.*parquet',
  'hyparquet-writer': '^engine/(source|sink)/.*parquet',
  pino: '^engine/observability/',
  'prom-client': '^engine/observability/',
  '@marcbachmann/cel-js': '^(engine|operators|features)/.*expression',
  re2js: '^(engine|operators|features)/.*expression',
  protobufjs: '^learning/onnx/',
  commander: '^cli/',
  'cli-table3': '^cli/',
  'cli-progress': '^cli/',
  picocolors: '^cli/',
  fastify: '^service/',
};

const vendors = Object.entries(vendorHomes).map(([name, home]) => ({
  name: `vendor-${name.replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')}`,
  comment: `${name} is imported only in ${home}; everything else goes through that room's contract`,
  severity: 'error',
  from: { pathNot: [home, notProduct] },
  to: { path: `(^|/)node_modules/${name.replaceAll('.', '\\.')}/` },
}));

module.exports = {
  forbidden: [
    ...direction,
    ...vendors,
    {
      name: 'no-cycles',
      comment: 'files that import each other in a circle cannot be read, or loaded, one after the other',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-tests-in-product',
      comment: 'product code may not import tests, benchmarks, conformance suites or tools',
      severity: 'error',
      from: { path: `^(${rooms.join('|')})/`, pathNot: notProduct },
      to: { path: notProduct },
    },
    {
      name: 'no-dev-packages-in-product',
      comment: 'what product code imports must be under "dependencies" in package.json',
      severity: 'error',
      from: { path: `^(${rooms.join('|')})/`, pathNot: notProduct },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'no-undeclared-packages',
      comment: 'every package that is imported must be named in package.json',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'not-resolvable',
      comment: 'an import that leads nowhere',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(dist|coverage|\\.sluice)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
