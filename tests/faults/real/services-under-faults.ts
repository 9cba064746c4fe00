import { cpSync, mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../engine/time/clock.ts';
import { startClickHouse, type ClickHouseService } from '../../../tools/services/start-clickhouse.ts';
import { startKafka, type KafkaService } from '../../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../../tools/services/start-redis.ts';
import { startTcpProxy, type TcpProxy } from '../../../tools/services/tcp-proxy.ts';
import { sizeOf } from '../../../tools/services/launched-process.ts';

/** Of util-linux, which every Debian has. */
const limitProgram = 'prlimit';
const brokerSettings = { 'group.min.session.timeout.ms': '1000' };

/**
 * The real services that a series of runs shares: a broker that workers reach through a proxy and the checker does not, and a ClickHouse for the
 * checker's SQL. Runs have topics of their own, and each its own Redis.
 */
export class ServicesUnderFaults implements AsyncDisposable {
  readonly dir: string;
  readonly kafkaProxy: TcpProxy;
  readonly sql: ClickHouseService;
  #broker: KafkaService;

  private constructor(dir: string, kafkaProxy: TcpProxy, broker: KafkaService, sql: ClickHouseService) {
    this.dir = dir;
    this.kafkaProxy = kafkaProxy;
    this.#broker = broker;
    this.sql = sql;
  }

  static async start(): Promise<ServicesUnderFaults> {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-faults-'));
    let brokerPort = 0;
    const proxy = await startTcpProxy(() => brokerPort);
    const [broker, sql] = await Promise.all([
      startKafka({ dir: join(dir, 'kafka'), settings: brokerSettings, proxied: { advertisedPort: proxy.port } }),
      startClickHouse({ dir: join(dir, 'sql') }),
    ]);
    brokerPort = broker.port;
    return new ServicesUnderFaults(dir, proxy, broker, sql);
  }

  /** Where workers find the broker. */
  get brokers(): readonly string[] {
    return [`127.0.0.1:${this.kafkaProxy.port}`];
  }

  /** Where nothing stands between. */
  get directBroker(): string {
    return `127.0.0.1:${this.#broker.directPort}`;
  }

  /** Kills the broker as a crash would, and starts it again. */
  async restartBroker(): Promise<void> {
    const { port, directPort } = this.#broker;
    await this.#broker.kill();
    const options = {
      dir: join(this.dir, 'kafka'),
      port,
      settings: brokerSettings,
      proxied: { advertisedPort: this.kafkaProxy.port, directPort },
    };
    for (let attempt = 1; ; attempt++) {
      try {
        this.#broker = await startKafka(options);
        return;
      } catch (error) {
        // A client of somebody else may have been given one of its ports for a moment.
        if (attempt === 5) throw error;
        await systemClock.sleep(1_000);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#broker.kill();
    await this.sql.kill();
    await this.kafkaProxy.close();
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** A Redis of one run, behind a proxy, whose past can be brought back. */
export class RedisUnderFaults implements AsyncDisposable {
  readonly proxy: TcpProxy;
  readonly #dir: string;
  #server: RedisService;

  private constructor(dir: string, proxy: TcpProxy, server: RedisService) {
    this.#dir = dir;
    this.proxy = proxy;
    this.#server = server;
  }

  static async start(dir: string): Promise<RedisUnderFaults> {
    let current: RedisUnderFaults | null = null;
    const proxy = await startTcpProxy(() => current?.directPort ?? 0);
    current = new RedisUnderFaults(dir, proxy, await startRedis({ dir }));
    return current;
  }

  /** Of the server itself, past the proxy. */
  get directPort(): number {
    return this.#server.port;
  }

  freeze(): void {
    this.#server.freeze();
  }

  thaw(): void {
    this.#server.thaw();
  }

  /** Kills it, does something to its files, and starts it again. */
  async restart(meanwhile: () => void = () => undefined): Promise<void> {
    await this.#server.kill();
    meanwhile();
    // On another port, for all that the proxy cares: somebody may have taken the former one.
    this.#server = await startRedis({ dir: this.#dir });
  }

  /** Keeps a copy of its append-only file as it is on disk now. */
  remember(): void {
    rmSync(this.#copy, { recursive: true, force: true });
    cpSync(this.#appendOnly, this.#copy, { recursive: true });
  }

  /** Brings it back to where {@link remember} was called: a failover to a replica that was behind, or a restored backup. */
  async goBack(): Promise<void> {
    await this.restart(() => {
      rmSync(this.#appendOnly, { recursive: true, force: true });
      cpSync(this.#copy, this.#appendOnly, { recursive: true });
    });
  }

  /** Loses the end of its append-only file, in the middle of a command. */
  async loseTail(bytes: number): Promise<void> {
    await this.restart(() => truncateSync(this.#log, Math.max(0, sizeOf(this.#log) - bytes)));
  }

  /** Its disk is full: no file of it may grow. Redis then refuses every write (MISCONF). */
  fillDisk(): void {
    this.#limitFiles(`${sizeOf(this.#log) + 1}:unlimited`);
  }

  freeDisk(): void {
    this.#limitFiles('unlimited:unlimited');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.kill();
    await this.proxy.close();
  }

  #limitFiles(limit: string): void {
    execFileSync(limitProgram, ['--pid', String(this.#server.process.pid), `--fsize=${limit}`]);
  }

  get #appendOnly(): string {
    return join(this.#dir, 'appendonlydir');
  }

  get #copy(): string {
    return join(this.#dir, 'remembered');
  }

  get #log(): string {
    const name = readdirSync(this.#appendOnly).find((file) => file.endsWith('.incr.aof')) ?? '';
    return join(this.#appendOnly, name);
  }
}
