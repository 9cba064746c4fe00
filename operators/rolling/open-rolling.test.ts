import { expect, it } from 'vitest';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { openRolling } from './open-rolling.ts';
import { RollingLogic } from './rolling-logic.ts';
import { cardSchema } from './testing/card-rows.ts';
import { paneAggregate } from './testing/pane-stores.ts';
import { TiledLogic } from './tiled-logic.ts';

it('a rolling operator keeps each record unless it is said to keep panes', () => {
  const definition = {
    operatorId: 'op',
    key: ['card'],
    aggregates: [paneAggregate('count', null)],
    allowedLatenessMs: 0,
  };
  const start = { state: 'empty', watermarks: new PartitionWatermarks() } as const;
  expect(openRolling(definition, cardSchema, start)).toBeInstanceOf(RollingLogic);
  expect(openRolling({ ...definition, panes: { sizeMs: 10 } }, cardSchema, start)).toBeInstanceOf(TiledLogic);
});
