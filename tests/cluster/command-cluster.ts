import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { SluiceCommand, type CardServices } from './card-job.ts';

/** A broker and a Redis, and the commands that are run on them. One for each test file; ended with it. */
export class CommandCluster implements CardServices, AsyncDisposable {
  readonly dir: string;
  readonly broker: KafkaService;
  readonly environment: Readonly<Record<string, string>>;
  readonly #redis: RedisService;
  readonly #commands: SluiceCommand[] = [];

  private constructor(dir: string, broker: KafkaService, redis: RedisService) {
    this.dir = dir;
    this.broker = broker;
    this.#redis = redis;
    this.environment = {
      SLUICE_KAFKA_BROKERS: broker.bootstrap,
      SLUICE_REDIS_URL: `redis://${redis.host}:${redis.port}`,
    };
  }

  static async start(): Promise<CommandCluster> {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-commands-'));
    const settings = { 'group.min.session.timeout.ms': '1000' };
    const broker = await startKafka({ dir: join(dir, 'kafka'), settings });
    return new CommandCluster(dir, broker, await startRedis({ dir: join(dir, 'redis') }));
  }

  get bootstrap(): string {
    return this.broker.bootstrap;
  }

  /** Starts `sluice run JOB --profile cluster`. */
  run(job: string, ...args: readonly string[]): SluiceCommand {
    return this.command('run', job, '--profile', 'cluster', ...args);
  }

  /** Starts a command. */
  command(...args: readonly string[]): SluiceCommand {
    const command = new SluiceCommand(this, args);
    this.#commands.push(command);
    return command;
  }

  /** Kills the commands that still run: behind each test. */
  endCommands(): void {
    for (const command of this.#commands.splice(0)) command[Symbol.dispose]();
  }

  /** Everything that Redis holds is gone. */
  async loseRedis(): Promise<void> {
    const { host, port } = this.#redis;
    const client = connectRedis({ topology: { kind: 'single', host, port } }, () => undefined);
    await client.flushall();
    client.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis.kill();
    await this.broker.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
