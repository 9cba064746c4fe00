import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { systemClock } from '../../engine/time/clock.ts';

/** What a proxy does with connections and bytes. `withhold answers`: requests arrive, and nothing comes back. `refuse`: nobody gets through. */
export type ProxyMode = 'pass' | 'withhold answers' | 'refuse';

/** Stands between a client and a service, to break what a network breaks. */
export interface TcpProxy {
  /** On 127.0.0.1. */
  readonly port: number;
  /** How many connections were cut so far. */
  readonly cuts: number;
  /** Applies to open connections, too; what is withheld is lost. */
  setMode(mode: ProxyMode): void;
  /** Cuts a connection each time that `nextBytes()` more bytes have passed in either direction, in the middle of whatever they are; `null` ends that. */
  cutEvery(nextBytes: (() => number) | null): void;
  /** Holds every piece of bytes back for so long, one after the other, in both directions; 0 ends that. */
  setDelay(delayMs: number): void;
  /** Cuts every open connection now. */
  cut(): void;
  close(): Promise<void>;
}

/** Starts a proxy to a port of this machine, which may be told later (a broker that must advertise the proxy's port is started after it). */
export async function startTcpProxy(targetPort: () => number): Promise<TcpProxy> {
  const open = new Set<Socket>();
  let mode: ProxyMode = 'pass';
  let nextBytes: (() => number) | null = null;
  let bytesLeft = Infinity;
  let cuts = 0;
  let delayMs = 0;

  /** Passes bytes on; while they are held back, no more are taken. */
  const pass = (from: Socket, to: Socket, chunk: Buffer): void => {
    if (delayMs === 0) {
      to.write(chunk);
      return;
    }
    from.pause();
    void systemClock.sleep(delayMs).then(() => {
      if (!to.destroyed) to.write(chunk);
      from.resume();
    });
  };
  const spend = (bytes: number): boolean => {
    bytesLeft -= bytes;
    if (bytesLeft > 0 || nextBytes === null) return false;
    bytesLeft = nextBytes();
    cuts++;
    return true;
  };

  const server = createServer((client) => {
    if (mode === 'refuse') {
      client.destroy();
      return;
    }
    const service = connect({ host: '127.0.0.1', port: targetPort() });
    const end = (): void => {
      for (const socket of [client, service]) {
        open.delete(socket);
        socket.destroy();
      }
    };
    for (const socket of [client, service]) {
      open.add(socket);
      socket.on('error', end).on('close', end);
    }
    client.on('data', (chunk) => {
      if (spend(chunk.length)) end();
      else pass(client, service, chunk);
    });
    service.on('data', (chunk) => {
      if (mode === 'withhold answers') return;
      if (spend(chunk.length)) end();
      else pass(service, client, chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));

  const cut = (): void => {
    if (open.size > 0) cuts++;
    for (const socket of open) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    get cuts() {
      return cuts;
    },
    setMode(wanted) {
      mode = wanted;
      if (mode === 'refuse') cut();
    },
    cutEvery(bytes) {
      nextBytes = bytes;
      bytesLeft = bytes?.() ?? Infinity;
    },
    setDelay(wantedMs) {
      delayMs = wantedMs;
    },
    cut,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        cut();
      }),
  };
}
