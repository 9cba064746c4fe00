/** A rising line through points: what isotonic regression fits. JSON, so that a manifest can hold it. */
export interface IsotonicCurve {
  /** Rising scores. */
  readonly scores: readonly number[];
  /** The probability at each of them, not falling. */
  readonly probabilities: readonly number[];
}

/** Rows that were pooled because their mean labels fell. */
interface Pool {
  readonly firstScore: number;
  readonly lastScore: number;
  readonly labelSum: number;
  readonly count: number;
}

/**
 * Fits the not falling curve that is nearest to the labels by least squares: the pool-adjacent-violators algorithm (Ayer et al.
 * 1955). Follows whatever shape the miscalibration has, at the price of needing more rows than Platt's two parameters: a thousand frauds
 * rather than a hundred.
 *
 * @param scores of rows that the model was not trained on; @param labels 1 or 0 for each.
 */
export function fitIsotonic(scores: ArrayLike<number>, labels: ArrayLike<number>): IsotonicCurve {
  const pools: Pool[] = [];
  for (const rows of rowsOfEachScore(scores, labels)) {
    let pool = rows;
    for (let below = pools.at(-1); below !== undefined && mustJoin(below, pool); below = pools.at(-1)) {
      pools.pop();
      pool = {
        firstScore: below.firstScore,
        lastScore: pool.lastScore,
        labelSum: below.labelSum + pool.labelSum,
        count: below.count + pool.count,
      };
    }
    pools.push(pool);
  }
  const corners = pools.flatMap(({ firstScore, lastScore, labelSum, count }) => {
    const probability = labelSum / count;
    const first = { score: firstScore, probability };
    return firstScore === lastScore ? [first] : [first, { score: lastScore, probability }];
  });
  return { scores: corners.map(({ score }) => score), probabilities: corners.map(({ probability }) => probability) };
}

/** The curve at a score: a straight line between corners, level beyond the ends. */
export function isotonicProbability({ scores, probabilities }: IsotonicCurve, score: number): number {
  let low = 0;
  let high = scores.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((scores[middle] as number) < score) low = middle + 1;
    else high = middle;
  }
  const above = Math.min(low, scores.length - 1);
  const below = Math.max(low - 1, 0);
  const [scoreAbove, scoreBelow] = [scores[above] as number, scores[below] as number];
  const [probabilityAbove, probabilityBelow] = [probabilities[above] as number, probabilities[below] as number];
  if (score >= scoreAbove || scoreAbove === scoreBelow) return probabilityAbove;
  const share = (score - scoreBelow) / (scoreAbove - scoreBelow);
  return probabilityBelow + share * (probabilityAbove - probabilityBelow);
}

/**
 * The rows of each score as one pool, by rising score. They must be together before pools are joined: a row whose score is that of a pool's end would
 * otherwise draw the whole pool to its label.
 */
function rowsOfEachScore(scores: ArrayLike<number>, labels: ArrayLike<number>): readonly Pool[] {
  const order = Uint32Array.from({ length: scores.length }, (_, row) => row);
  order.sort((a, b) => (scores[a] as number) - (scores[b] as number));
  const pools: Pool[] = [];
  for (const row of order) {
    const score = scores[row] as number;
    const label = labels[row] as number;
    const last = pools.at(-1);
    if (last?.lastScore === score)
      pools[pools.length - 1] = { ...last, labelSum: last.labelSum + label, count: last.count + 1 };
    else pools.push({ firstScore: score, lastScore: score, labelSum: label, count: 1 });
  }
  return pools;
}

/** A pool may not lie below the one before it. */
function mustJoin(below: Pool, pool: Pool): boolean {
  return below.labelSum * pool.count >= pool.labelSum * below.count;
}
