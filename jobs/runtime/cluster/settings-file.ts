import { readFile } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { messageOf } from '../../../engine/error.ts';
import type { Diagnostic } from '../../../engine/plan/diagnostic.ts';
import { PlanDocument } from '../../../engine/plan/plan-document.ts';
import { checkParts } from '../../check/check-parts.ts';
import { settingsParts, type LoginPart, type SettingsParts, type TlsPart } from './settings-parts.ts';

/** What a settings file says, or what is wrong with it. */
export interface FileSettings {
  readonly parts: Partial<SettingsParts>;
  readonly diagnostics: readonly Diagnostic[];
  /** The file's text as it may be shown: what looks like a secret is made unreadable. */
  readonly shown: string;
}

/** What follows a key that names a secret, on its line; and what stands before the host in an address. */
const secretValues = /((?:password|secret|token)["']?\s*:\s*)("[^"\n]*"|'[^'\n]*'|[^,}\n]+)|(:\/\/)([^@\s/"']+)(?=@)/gi;

/** Reads and checks a settings file, as job files are checked: everything that is wrong, each at its place. Paths in it are made relative to it. */
export async function readSettingsFile(file: string): Promise<FileSettings> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const message = `${file} cannot be read: ${messageOf(error)}`;
    const finding = { code: 'FILE_UNREADABLE', message, expected: 'a file of settings' } as const;
    return { parts: {}, diagnostics: [new PlanDocument(file, '').atValue([], finding)], shown: '' };
  }
  const document = new PlanDocument(file, text);
  const diagnostics: Diagnostic[] = [...document.diagnostics];
  const parts = diagnostics.length > 0 ? null : checkParts(document, [], settingsParts, diagnostics);
  const secrets = [...text.matchAll(secretValues)].map(([, , value, , login]) => (value ?? login ?? '').trim());
  return {
    parts: parts === null ? {} : placed(parts, dirname(file)),
    diagnostics: diagnostics.map((found) => ({ ...found, message: withoutSecrets(found.message, secrets) })),
    shown: text.replaceAll(
      secretValues,
      (_, key: string | undefined, value: string | undefined, slashes: string | undefined, login: string | undefined) =>
        `${key ?? slashes ?? ''}${'*'.repeat((value ?? login ?? '').length)}`,
    ),
  };
}

function withoutSecrets(message: string, secrets: readonly string[]): string {
  return secrets.reduce((words, secret) => (secret.length < 3 ? words : words.replaceAll(secret, '***')), message);
}

/** The parts with the files that they name as paths from where the command runs. */
function placed(parts: Partial<SettingsParts>, folder: string): Partial<SettingsParts> {
  const path = (file: string | undefined): string | undefined =>
    file === undefined || isAbsolute(file) ? file : join(folder, file);
  const placeLogin = <Part extends LoginPart>(part: Part): Part => ({ ...part, passwordFile: path(part.passwordFile) });
  const placeTls = (tls: TlsPart | undefined): TlsPart | undefined =>
    tls === undefined
      ? undefined
      : {
          ...tls,
          ca: path(tls.ca),
          cert: path(tls.cert),
          key: path(tls.key),
          keyPasswordFile: path(tls.keyPasswordFile),
        };
  const { kafka, redis, clickhouse, schemaRegistry, state } = parts;
  return {
    kafka: kafka === undefined ? undefined : { ...placeLogin(kafka), tls: placeTls(kafka.tls) },
    redis: redis === undefined ? undefined : { ...placeLogin(redis), tls: placeTls(redis.tls) },
    clickhouse: clickhouse === undefined ? undefined : { ...placeLogin(clickhouse), tls: placeTls(clickhouse.tls) },
    schemaRegistry: schemaRegistry === undefined ? undefined : placeLogin(schemaRegistry),
    state,
  };
}
