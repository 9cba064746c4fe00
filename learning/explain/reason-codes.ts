/** One reason for a score. */
export interface ReasonCode {
  readonly feature: string;
  /** How much it raised the log-odds. */
  readonly contribution: number;
}

/**
 * The features that raised a row's score most, greatest first: what an investigator is shown beside an alert. Features that lowered it are
 * no reasons for an alert and are never among them, so there may be fewer than asked for.
 *
 * @param contributions what the `TreeExplainer` says of the row, one a feature.
 */
export function reasonCodes(
  contributions: ArrayLike<number>,
  featureNames: readonly string[],
  count: number,
): ReasonCode[] {
  return featureNames
    .map((feature, index) => ({ feature, contribution: contributions[index] as number }))
    .filter(({ contribution }) => contribution > 0)
    .sort((a, b) => b.contribution - a.contribution)
    .slice(0, count);
}
