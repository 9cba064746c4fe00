import { createServer } from 'node:net';
import { SluiceError } from '../../engine/error.ts';

/**
 * A TCP port of 127.0.0.1 that nothing listened on a moment ago: `wanted` if it is free, else one of the system's choice. Another
 * process may take it before the service does; whoever starts a service on it tries again with another one then.
 */
export function freePort(wanted: number = 0): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error) => {
      if (wanted !== 0) resolve(freePort());
      else
        reject(new SluiceError('PORT_UNAVAILABLE', `could not find a free port: ${error.message}`, { cause: error }));
    });
    server.listen(wanted, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}
