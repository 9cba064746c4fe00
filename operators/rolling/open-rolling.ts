import type { Schema } from '../../engine/record/schema.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { RollingDefinition } from './rolling-definition.ts';
import { RollingLogic, type RollingStart } from './rolling-logic.ts';
import { TiledLogic } from './tiled-logic.ts';

/** A rolling operator, and the schema of what it gives. */
export interface OpenRolling extends StatefulLogic {
  /** The input's schema and the definition's outputs after it. */
  readonly outputSchema: Schema;
}

/** The logic of a definition: over each record, or over panes. Called whenever a section is built. */
export function openRolling(definition: RollingDefinition, schema: Schema, start: RollingStart): OpenRolling {
  const { panes } = definition;
  return panes === undefined
    ? new RollingLogic(definition, schema, start)
    : new TiledLogic(definition, panes, schema, start);
}
