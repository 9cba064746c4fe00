import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The password of {@link Certificates.serverStore}. */
export const storePassword = 'not a secret';

/** Files in PEM, but for the store. */
export interface Certificates {
  /** Of the authority that signed the others. */
  readonly ca: string;
  /** For `localhost` and 127.0.0.1. */
  readonly server: string;
  readonly serverKey: string;
  /** Both of the server's in PKCS12, as Java wants them. */
  readonly serverStore: string;
  readonly client: string;
  readonly clientKey: string;
}

/** Makes a certificate authority, and what it signs for a server on this machine and for a client, in a folder that is there; by `openssl`, for two days. */
export function makeCertificates(dir: string): Certificates {
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
  };
  const key = ['-newkey', 'rsa:2048', '-nodes'];
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=test-ca', '-keyout', 'ca.key', '-out', 'ca.pem');
  for (const name of ['server', 'client']) {
    openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
    writeFileSync(join(dir, `${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    const signing = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`];
    openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-out', `${name}.pem`);
  }
  const store = ['-password', `pass:${storePassword}`];
  openssl('pkcs12', '-export', '-in', 'server.pem', '-inkey', 'server.key', '-out', 'server.p12', ...store);
  const file = (name: string): string => join(dir, name);
  return {
    ca: file('ca.pem'),
    server: file('server.pem'),
    serverKey: file('server.key'),
    serverStore: file('server.p12'),
    client: file('client.pem'),
    clientKey: file('client.key'),
  };
}
