import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SluiceProcess, type Ended } from '../../tests/embedded/sluice-process.ts';
import { startClickHouse, type ClickHouseService } from '../../tools/services/start-clickhouse.ts';

let dir: string;
let server: ClickHouseService;
let secure: Server;

/** A certificate authority, and what it signed for this machine. */
function makeCertificates(): void {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  };
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=test-ca', '-keyout', 'ca.key', '-out', 'ca.pem');
  openssl('req', ...key, '-subj', '/CN=clickhouse', '-keyout', 'server.key', '-out', 'server.csr');
  writeFileSync(join(dir, 'server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
  const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', 'server.ext'];
  openssl('x509', '-req', '-in', 'server.csr', ...signing, '-out', 'server.pem');
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-migrate-'));
  makeCertificates();
  writeFileSync(join(dir, 'password'), 'open sesame\n');
  server = await startClickHouse({ dir: join(dir, 'clickhouse'), username: 'sluice', password: 'open sesame' });
  const tls = { key: readFileSync(join(dir, 'server.key')), cert: readFileSync(join(dir, 'server.pem')) };
  secure = createServer(tls, ({ method, url, headers }, answer) => {
    const forward = request({ port: server.port, host: '127.0.0.1', method, path: url, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 500, answered.headers);
      answered.pipe(answer);
    });
    forward.on('error', () => answer.destroy());
    answer.req.pipe(forward);
  });
  await new Promise<void>((resolve) => secure.listen(0, '127.0.0.1', resolve));
});

afterAll(async () => {
  secure.closeAllConnections();
  secure.close();
  await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

const securePort = (): number => (secure.address() as AddressInfo).port;

/** `sluice migrate` with these settings in its environment, and no others. */
function migrate(settings: Readonly<Record<string, string>>, ...options: string[]): Promise<Ended> {
  const names = Object.keys(process.env).filter((name) => name.startsWith('SLUICE_CLICKHOUSE_'));
  for (const name of names) delete process.env[name];
  Object.assign(process.env, settings);
  return new SluiceProcess('migrate', ...options).ended;
}

describe('sluice migrate', () => {
  it('says what is to be done, does it once, and says what was done', async () => {
    const login = { SLUICE_CLICKHOUSE_USER: 'sluice', SLUICE_CLICKHOUSE_PASSWORD_FILE: join(dir, 'password') };
    const before = await migrate({ SLUICE_CLICKHOUSE_URL: server.url, ...login }, '--status');
    expect(before).toMatchObject({ code: 0, stderr: '' });
    expect(before.stdout).toMatch(/^ClickHouse \d+\.\d+[\d.]*, database default\n {2}0001 predictions +pending\n/);
    expect((await migrate(login, '--clickhouse', server.url)).stdout).toMatch(
      /\n {2}applied predictions\n {2}applied dead-letters\n {2}applied views\n {2}applied amendments\n {2}applied amendments-scored\n$/,
    );
    expect((await migrate(login, '--clickhouse', server.url)).stdout).toMatch(/nothing to do: all 5 are there\n$/);
    const { stdout } = await migrate(login, '--clickhouse', server.url, '--status');
    expect(stdout).toMatch(/ {2}0005 amendments-scored +applied \d{4}-\d\d-\d\d .* UTC\n$/);
  });

  it('reaches a ClickHouse behind TLS, and says whom it does not believe', async () => {
    const url = `https://sluice:open%20sesame@localhost:${securePort()}`;
    const ca = { SLUICE_CLICKHOUSE_TLS_CA_FILE: join(dir, 'ca.pem') };
    expect(await migrate({ SLUICE_CLICKHOUSE_URL: url, ...ca }, '--status')).toMatchObject({ code: 0, stderr: '' });
    const unknown = await migrate({ SLUICE_CLICKHOUSE_URL: url });
    expect(unknown).toMatchObject({ code: 1, stdout: '' });
    expect(unknown.stderr).toMatch(/CLICKHOUSE_REFUSED: .*check the address, and the certificates/);
  });

  it('keeps the password out of what it says', async () => {
    const wrong = await migrate({ SLUICE_CLICKHOUSE_URL: server.url.replace('//', '//sluice:abracadabra@') });
    expect(wrong.code).toBe(1);
    expect(wrong.stderr).toContain('check the user, the password');
    expect(wrong.stderr).not.toContain('abracadabra');
  });

  it('asks for the address where there is none', async () => {
    const nowhere = await migrate({});
    expect(nowhere.code).toBe(1);
    expect(nowhere.stderr).toContain('SLUICE_CLICKHOUSE_URL');
  });
});
