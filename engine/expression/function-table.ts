import { addNumbers, arithmetic } from './functions/arithmetic.ts';
import { choice } from './functions/choice.ts';
import { comparison } from './functions/comparison.ts';
import { conversion } from './functions/conversion.ts';
import { instants } from './functions/instants.ts';
import { logic } from './functions/logic.ts';
import { math } from './functions/math.ts';
import { joinOverload, strings } from './functions/strings.ts';
import { stringParts } from './functions/string-parts.ts';
import type { Overload } from './overload.ts';

/** Every function and operator of the language with its overloads, by the name that the parser gives it. */
export const functionTable: ReadonlyMap<string, readonly Overload[]> = new Map(
  Object.entries({
    ...arithmetic,
    '+': [addNumbers, joinOverload],
    ...comparison,
    ...logic,
    ...choice,
    ...math,
    ...strings,
    ...stringParts,
    ...instants,
    ...conversion,
  }),
);

/** The functions that are called by name, for suggestions and for the reference page. Operators are not among them. */
export const functionNames: readonly string[] = [...functionTable.keys()].filter(
  (name) => /^[a-z]/i.test(name) && name !== 'negate',
);
