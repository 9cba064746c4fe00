import { SluiceError } from '../../engine/error.ts';
import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';
import { checkTopicName } from '../../engine/storage/topic-name.ts';

/** Checks the name of a topic that stands at `path`, by Kafka's rules; says there what is wrong with it. */
export function checkTopic(
  document: PlanDocument,
  path: DocumentPath,
  name: string,
  diagnostics: Diagnostic[],
): boolean {
  try {
    checkTopicName(name);
    return true;
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    const expected = '1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-"';
    diagnostics.push(
      document.atValue(path, { code: 'VALUE_WRONG', message: `"${name}" cannot be the name of a topic`, expected }),
    );
    return false;
  }
}
