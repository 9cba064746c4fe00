import { checkShape } from '../engine/plan/check-shape.ts';
import type { Diagnostic } from '../engine/plan/diagnostic.ts';
import type { DocumentPath, PlanDocument } from '../engine/plan/plan-document.ts';
import { formatDuration } from '../engine/time/duration.ts';
import type { PaneRule } from '../operators/rolling/rolling-definition.ts';
import { compactDeclaration, resolutionDeclaration, type CompactDeclaration } from './feature-declaration.ts';

/** What is said of how records are kept, by a file of all its features, or by one feature. */
export interface PaneDeclaration {
  readonly resolution?: number | 'exact' | undefined;
  readonly compact?: CompactDeclaration | undefined;
}

/** What a file says of the resolution of all its features, with what is wrong in it added to `diagnostics`. */
export function readPaneDefaults(document: PlanDocument, value: object, diagnostics: Diagnostic[]): PaneDeclaration {
  const resolution =
    'resolution' in value ? checkShape(document, ['resolution'], resolutionDeclaration, diagnostics) : undefined;
  const compact = 'compact' in value ? checkShape(document, ['compact'], compactDeclaration, diagnostics) : undefined;
  const declaration = { resolution, compact };
  checkBoth(document, [], declaration, diagnostics);
  return declaration;
}

/** Reports where both are said: only a feature that keeps each record can be compacted. */
export function checkBoth(
  document: PlanDocument,
  path: DocumentPath,
  { resolution, compact }: PaneDeclaration,
  diagnostics: Diagnostic[],
): void {
  if (typeof resolution !== 'number' || compact === undefined) return;
  const message = `"compact" is of features that keep each record, and "resolution" says panes of ${formatDuration(resolution)}`;
  diagnostics.push(
    document.atKey([...path, 'compact'], { code: 'VALUE_WRONG', message, expected: 'one of resolution and compact' }),
  );
}

/** How a feature's records are kept, as it says itself, or else its file; `null` for each of them. */
export function panesOf(own: PaneDeclaration, ofFile: PaneDeclaration): PaneRule | null {
  const isOwn = own.resolution !== undefined || own.compact !== undefined;
  const { resolution, compact } = isOwn ? own : ofFile;
  if (compact !== undefined) return { sizeMs: compact.to, aboveRecords: compact.above };
  return typeof resolution === 'number' ? { sizeMs: resolution } : null;
}
