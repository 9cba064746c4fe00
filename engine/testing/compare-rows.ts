/** A record as a person writes it: a value for each field by name. */
export type Row = Readonly<Record<string, unknown>>;

/** In which order rows must come, and whether fields that nothing is expected of may be there. */
export interface CompareOptions {
  /** `as written` (the default): row by row, in the order in which they were committed. `any`: each expected row must be met by one of its own. */
  readonly order?: 'as written' | 'any';
  /** `named` (the default): only the fields that an expected row names are looked at. `all`: a row must have no others. */
  readonly fields?: 'named' | 'all';
}

/** Where in a row: the keys, as the expected row has them, and indices of lists. */
export type RowPath = readonly (string | number)[];

/** One thing in which what came is not what was expected. */
export type RowDifference =
  | {
      readonly kind: 'value';
      readonly row: number;
      readonly keys: RowPath;
      readonly expected: unknown;
      readonly got: unknown;
      /** The names that there are where one was looked for. */
      readonly among: readonly string[];
    }
  | { readonly kind: 'missing'; readonly row: number; readonly expected: Row }
  | { readonly kind: 'unexpected'; readonly got: Row };

/** A number that need not be met to the last bit. */
export class Near {
  readonly value: number;
  readonly within: number;

  constructor(value: number, within: number) {
    this.value = value;
    this.within = within;
  }
}

/**
 * Expects a number at most `within` from `value`. Numbers that are not given so must be equal.
 *
 *     checkAnswer([{ id: 't3', ratio: near(2.24, 0.005) }])
 */
export function near(value: number, within: number): Near {
  return new Near(value, within);
}

/** Holds rows against what is expected of them. @returns every difference, in the order of the expected rows; none where all is as expected. */
export function compareRows(
  got: readonly Row[],
  expected: readonly Row[],
  { order = 'as written', fields = 'named' }: CompareOptions = {},
): readonly RowDifference[] {
  return order === 'any' ? compareAsSets(got, expected, fields) : compareInOrder(got, expected, fields);
}

type Fields = NonNullable<CompareOptions['fields']>;

function compareInOrder(got: readonly Row[], expected: readonly Row[], fields: Fields): readonly RowDifference[] {
  return [
    ...expected.flatMap((row, index): readonly RowDifference[] => {
      const found = got[index];
      if (found === undefined) return [{ kind: 'missing', row: index, expected: row }];
      return differencesOf(found, row, index, [], fields);
    }),
    ...got.slice(expected.length).map((row): RowDifference => ({ kind: 'unexpected', got: row })),
  ];
}

/** Pairs rows off by augmenting paths (Kuhn's matching): an expected row that names few fields must not take the only partner of one that names many. */
function compareAsSets(got: readonly Row[], expected: readonly Row[], fields: Fields): readonly RowDifference[] {
  const takenBy = new Map<number, number>();
  const partners = expected.map((row, index) =>
    got.flatMap((found, at) => (differencesOf(found, row, index, [], fields).length === 0 ? [at] : [])),
  );
  const place = (index: number, tried: Set<number>): boolean => {
    for (const at of partners[index] ?? []) {
      if (tried.has(at)) continue;
      tried.add(at);
      const holder = takenBy.get(at);
      if (holder !== undefined && !place(holder, tried)) continue;
      takenBy.set(at, index);
      return true;
    }
    return false;
  };
  const missing = expected.flatMap((row, index): readonly RowDifference[] =>
    place(index, new Set()) ? [] : [{ kind: 'missing', row: index, expected: row }],
  );
  return [
    ...missing,
    ...got.flatMap((row, at): readonly RowDifference[] => (takenBy.has(at) ? [] : [{ kind: 'unexpected', got: row }])),
  ];
}

function differencesOf(
  got: unknown,
  expected: unknown,
  row: number,
  keys: RowPath,
  fields: Fields,
  among: readonly string[] = [],
): readonly RowDifference[] {
  const differs = (): readonly RowDifference[] => [{ kind: 'value', row, keys, expected, got, among }];
  if (expected instanceof Near) {
    return typeof got === 'number' && Math.abs(got - expected.value) <= expected.within ? [] : differs();
  }
  if (expected instanceof Date) {
    const instantMs = typeof got === 'string' ? Date.parse(got) : got;
    return instantMs === expected.getTime() ? [] : differs();
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(got) || got.length !== expected.length) return differs();
    return expected.flatMap((item, index) => differencesOf(got[index], item, row, [...keys, index], fields));
  }
  if (typeof expected === 'object' && expected !== null) {
    if (typeof got !== 'object' || got === null || Array.isArray(got)) return differs();
    const members = got as Row;
    const named = Object.entries(expected as Row).flatMap(([name, value]) =>
      differencesOf(memberOf(members, name), value, row, [...keys, name], fields, namesIn(members)),
    );
    const others = fields === 'named' ? [] : Object.keys(members).filter((name) => !Object.hasOwn(expected, name));
    const extra = others.map((name): RowDifference => {
      return { kind: 'value', row, keys: [...keys, name], expected: undefined, got: members[name], among: [] };
    });
    return [...named, ...extra];
  }
  return Object.is(got, expected) || got === expected ? [] : differs();
}

/** The names by which members can be asked for: those of objects inside with a dot. */
function namesIn(row: Row): readonly string[] {
  return Object.entries(row).flatMap(([name, value]) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? [name, ...namesIn(value as Row).map((inner) => `${name}.${inner}`)] : [name];
  });
}

/** A member by name, or by a path with dots (`features.ratio`) where there is none of that name. */
function memberOf(row: Row, name: string): unknown {
  if (Object.hasOwn(row, name)) return row[name];
  let value: unknown = row;
  for (const step of name.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Row)[step];
  }
  return value;
}
