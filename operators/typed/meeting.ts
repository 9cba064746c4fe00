import { SluiceError } from '../../engine/error.ts';
import type { FieldType } from '../../engine/record/schema.ts';
import type { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';
import type { StreamInput } from './stream-origin.ts';

/**
 * The topics of several streams that meet, tables first: in this order they are numbered.
 *
 * @throws {SluiceError} `INPUT_TWICE` where two have the same name; `AMENDMENTS_MEET` where one is of amendments; `STREAM_WITHOUT_TIME`.
 */
export function inputsOf(streams: readonly Pick<Stream<Shape>, 'inputs'>[]): readonly StreamInput[] {
  const all = streams.flatMap(({ inputs }) => inputs);
  for (const { name, arrivals } of all) {
    if (arrivals === 'told') {
      throw new SluiceError(
        'AMENDMENTS_MEET',
        `a stream of amendments must not meet others in one job; that of topic ${name} does: run it to a topic of its own, and begin with that`,
      );
    }
    if (all.filter((other) => other.name === name).length === 1) continue;
    throw new SluiceError(
      'INPUT_TWICE',
      `streams that meet must have topics of different names; "${name}" is there twice: say topic(…, { as: '…' }) of one`,
    );
  }
  return [...all.filter(({ read }) => read === 'first'), ...all.filter(({ read }) => read === 'in turn')];
}

/** The ids of the operators of several streams that meet. @throws {SluiceError} `STREAM_ID_TAKEN` */
export function operatorIdsOf(
  streams: readonly Pick<Stream<Shape>, 'plan'>[],
  own: readonly string[],
): readonly string[] {
  const ids = [...streams.flatMap(({ plan }) => plan.operatorIds), ...own];
  const twice = ids.find((id, index) => ids.indexOf(id) < index);
  if (twice === undefined) return ids;
  throw new SluiceError(
    'STREAM_ID_TAKEN',
    `an operator's id must be its own among streams that meet; "${twice}" is there twice: say { id: '…' }`,
  );
}

const keyTypes: readonly FieldType[] = ['string', 'long'];

/** That two fields can be one key. @throws {SluiceError} `KEY_TYPE` */
export function checkKeys(
  left: FieldType | undefined,
  right: FieldType | undefined,
  operator: string,
  names: string,
): void {
  if (left === right && left !== undefined && keyTypes.includes(left)) return;
  throw new SluiceError(
    'KEY_TYPE',
    `${operator} must compare two strings, or two longs; ${names} are a ${left ?? 'field that is not there'} and a ${right ?? 'field that is not there'}`,
  );
}
