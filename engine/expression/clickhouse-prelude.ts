/**
 * The lambdas that SQL from `CompiledExpression.toClickHouseSql` uses, for the head of the query's `WITH`. Each gives ClickHouse
 * our meaning of null: `least` and `greatest` there pass over nulls, `if` takes null for false, and division by zero is infinite.
 */
export const clickHousePrelude: readonly string[] = [
  '(v -> if(isFinite(v), v, NULL)) AS finite',
  '((a, b) -> if(isNull(a) OR isNull(b), NULL, least(a, b))) AS smaller',
  '((a, b) -> if(isNull(a) OR isNull(b), NULL, greatest(a, b))) AS larger',
  '((c, a, b) -> if(isNull(c), NULL, if(c, a, b))) AS choose',
  '(v -> sign(v) * (floor(abs(v)) + if(abs(v) - floor(abs(v)) >= 0.5, 1, 0))) AS roundHalfAway',
  '(v -> if(abs(trunc(v)) <= 9007199254740991, trunc(v), NULL)) AS whole',
];
