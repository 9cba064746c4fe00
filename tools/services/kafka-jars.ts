import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { messageOf, SluiceError } from '../../engine/error.ts';

const execute = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const pom = fileURLToPath(new URL('kafka/pom.xml', import.meta.url));
const pinned = fileURLToPath(new URL('kafka/jars.sha256', import.meta.url));
const copyDependencies = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies';

/** The version of the broker, as kafka/pom.xml has it. docker-compose.yml runs the same. */
export const kafkaVersion: string =
  /<artifactId>kafka_2\.13<\/artifactId>\s*<version>(.+?)<\/version>/.exec(readFileSync(pom, 'utf8'))?.[1] ?? '';

/** Jar names and their SHA-256, from kafka/jars.sha256. */
function pinnedJars(): ReadonlyMap<string, string> {
  const lines = readFileSync(pinned, 'utf8').trim().split('\n');
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

function checkJars(dir: string): void {
  const expected = pinnedJars();
  const differing = readdirSync(dir).filter(
    (name) =>
      createHash('sha256')
        .update(readFileSync(join(dir, name)))
        .digest('hex') !== expected.get(name),
  );
  const missing = [...expected.keys()].filter((name) => !existsSync(join(dir, name)));
  if (differing.length + missing.length > 0) {
    throw new SluiceError(
      'KAFKA_JARS_DIFFER',
      `the jars that Maven gave must be those of tools/services/kafka/jars.sha256; other: ${differing.join(', ') || 'none'}; ` +
        `missing: ${missing.join(', ') || 'none'}. Ask your Maven repository's keeper, or fetch from Maven Central itself`,
    );
  }
}

async function fetchJars(dir: string): Promise<void> {
  try {
    await execute('mvn', [
      '-q',
      '-B',
      '-C',
      '-f',
      pom,
      copyDependencies,
      '-DincludeScope=runtime',
      `-DoutputDirectory=${dir}`,
    ]);
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    throw new SluiceError(
      'KAFKA_JARS_MISSING',
      isAbsent
        ? 'could not fetch the jars of Kafka: `mvn` is not on PATH; install Maven (Debian: apt-get install maven)'
        : `could not fetch the jars of Kafka from Maven's repository: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/**
 * The folder with the broker's jars (46 of them, 44 MB), fetched once for each checkout into `.sluice/cache` and compared with their
 * pinned SHA-256 there. Two processes at once both fetch, and the later one's copy is thrown away.
 *
 * @throws {SluiceError} `KAFKA_JARS_MISSING` when they cannot be had, `KAFKA_JARS_DIFFER` when they are others.
 */
export async function kafkaJars(): Promise<string> {
  const dir = join(root, '.sluice', 'cache', `kafka-${kafkaVersion}`);
  if (existsSync(dir)) return dir;
  mkdirSync(dirname(dir), { recursive: true });
  const fetched = mkdtempSync(`${dir}-`);
  try {
    await fetchJars(fetched);
    checkJars(fetched);
    if (!existsSync(dir)) renameSync(fetched, dir);
  } catch (error) {
    if (!existsSync(dir)) throw error;
  } finally {
    rmSync(fetched, { recursive: true, force: true });
  }
  return dir;
}
