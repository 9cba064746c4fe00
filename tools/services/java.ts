import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SluiceError } from '../../engine/error.ts';

const execute = promisify(execFile);
const oldest = 17;
const advice = `install Java ${oldest} or newer (Debian: apt-get install openjdk-17-jre-headless), or name one by JAVA_HOME`;

/**
 * The `java` to run the broker with: that of JAVA_HOME, else the one on PATH.
 *
 * @throws {SluiceError} `JAVA_MISSING` when there is none, or it is older than Kafka's brokers need.
 */
export async function javaProgram(): Promise<string> {
  const home = process.env['JAVA_HOME'];
  const program = home === undefined || home === '' ? 'java' : join(home, 'bin', 'java');
  let words: string;
  try {
    words = (await execute(program, ['-version'])).stderr;
  } catch (error) {
    throw new SluiceError('JAVA_MISSING', `could not run \`${program} -version\`; ${advice}`, { cause: error });
  }
  const version = Number(/version "(\d+)/.exec(words)?.[1] ?? 0);
  if (version >= oldest) return program;
  throw new SluiceError(
    'JAVA_MISSING',
    `\`${program}\` must be Java ${oldest} or newer; got ${words.split('\n')[0] ?? ''}; ${advice}`,
  );
}
