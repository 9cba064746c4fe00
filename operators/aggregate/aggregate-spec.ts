import type { FieldType } from '../../engine/record/schema.ts';
import type { Aggregator } from './aggregator.ts';
import { collect } from './collect.ts';
import { quantile } from './dd-sketch.ts';
import { distinct } from './distinct.ts';
import { first, last, maximum, minimum } from './extremes.ts';
import { histogram } from './histogram.ts';
import { approximateDistinct } from './hyper-log-log.ts';
import { average, count, deviation, sum, variance } from './moments.ts';
import { argExtreme, topRows, type RankedField, type RankOrder } from './ranked.ts';
import { topK } from './top-k.ts';

/** An aggregate function with its settings: frozen plain data, by the names that job files use. */
export type AggregateSpec =
  | {
      readonly function:
        'count' | 'sum' | 'avg' | 'min' | 'max' | 'stddev' | 'variance' | 'first' | 'last' | 'distinct';
    }
  | { readonly function: 'approxDistinct'; readonly error: number }
  | { readonly function: 'quantile'; readonly q: number; readonly error: number }
  | { readonly function: 'topK'; readonly k: number; readonly capacity: number }
  | { readonly function: 'histogram'; readonly boundaries: readonly number[] }
  | { readonly function: 'collect'; readonly limit: number }
  | { readonly function: 'argMax' | 'argMin' }
  | {
      readonly function: 'top';
      readonly n: number;
      readonly order: RankOrder;
      readonly fields: readonly RankedField[];
    };

/** The name of an aggregate function. */
export type AggregateFunction = AggregateSpec['function'];

/** Makes the aggregator of a definition. Called once for each aggregate of an operator; the states are the operator's. */
export function aggregatorOf(spec: AggregateSpec): Aggregator<unknown> {
  switch (spec.function) {
    case 'count':
      return count;
    case 'sum':
      return sum;
    case 'avg':
      return average;
    case 'min':
      return minimum;
    case 'max':
      return maximum;
    case 'stddev':
      return deviation;
    case 'variance':
      return variance;
    case 'first':
      return first;
    case 'last':
      return last;
    case 'distinct':
      return distinct;
    case 'approxDistinct':
      return approximateDistinct(spec.error);
    case 'quantile':
      return quantile(spec.q, spec.error);
    case 'topK':
      return topK(spec.k, spec.capacity);
    case 'histogram':
      return histogram(spec.boundaries);
    case 'collect':
      return collect(spec.limit);
    case 'argMax':
      return argExtreme('descending');
    case 'argMin':
      return argExtreme('ascending');
    case 'top':
      return topRows(spec.n, spec.order, spec.fields);
  }
}

/** The types of column that a function can take; `count` counts values of any. Of `argMax`, `argMin` and `top`: what records are ranked by. */
export function inputTypes(name: AggregateFunction): readonly FieldType[] {
  switch (name) {
    case 'sum':
    case 'avg':
    case 'stddev':
    case 'variance':
    case 'quantile':
    case 'histogram':
      return ['double', 'long', 'boolean'];
    case 'min':
    case 'max':
    case 'argMax':
    case 'argMin':
    case 'top':
      return ['double', 'long', 'boolean', 'timestamp'];
    case 'count':
    case 'first':
    case 'last':
    case 'distinct':
    case 'approxDistinct':
    case 'topK':
    case 'collect':
      return ['double', 'long', 'boolean', 'timestamp', 'string'];
  }
}

/** Whether the answers are JSON text, which an encoder of JSON writes as it is. */
export function isStructured(name: AggregateFunction): boolean {
  return name === 'topK' || name === 'histogram' || name === 'collect' || name === 'top';
}

/** The type of the answers, for an input of `inputType` (`null` where nothing is read); of `argMax` and `argMin`, that of the field that they give. */
export function answerType(name: AggregateFunction, inputType: FieldType | null): FieldType {
  switch (name) {
    case 'count':
    case 'distinct':
    case 'approxDistinct':
      return 'long';
    case 'sum':
    case 'avg':
    case 'stddev':
    case 'variance':
    case 'quantile':
      return 'double';
    case 'min':
    case 'max':
    case 'first':
    case 'last':
    case 'argMax':
    case 'argMin':
      return inputType ?? 'double';
    case 'topK':
    case 'histogram':
    case 'collect':
    case 'top':
      return 'string';
  }
}
