import { connect } from 'node:net';

/** Sends `request` to a port of this machine and gives the first bytes of the answer, or `null` where none comes within `timeoutMs`. */
export function exchange(port: number, request: Uint8Array, timeoutMs: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const finish = (answer: Buffer | null): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => finish(null));
    socket.once('error', () => finish(null));
    socket.once('end', () => finish(null));
    socket.once('connect', () => socket.write(request));
    socket.once('data', (chunk) => finish(chunk));
  });
}
