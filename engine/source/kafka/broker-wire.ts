import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { messageOf, SluiceError } from '../../error.ts';
import { kafkaFailure, kafkaRefused } from './kafka-failure.ts';
import { readSecret, type KafkaSasl, type KafkaSettings, type KafkaTls } from './kafka-settings.ts';
import { answerChallenge, scramGreeting } from './scram.ts';

/** Numbers of the requests of Kafka's protocol that are sent here, each in the oldest version that brokers of 2.1 to 4.x take. */
const request = {
  saslHandshake: { key: 17, version: 1 },
  apiVersions: { key: 18, version: 0 },
  describeConfigs: { key: 32, version: 1 },
  saslAuthenticate: { key: 36, version: 0 },
} as const;

const answerTimeoutMs = 10_000;
const largestAnswerBytes = 8 * 1_048_576;

/**
 * A connection of our own to a broker, for the one thing that the client cannot ask (see ADR 0030). It speaks Kafka's protocol
 * (https://kafka.apache.org/protocol) with the TLS and the SASL of the settings; requests go one at a time.
 */
export class BrokerWire implements Disposable {
  readonly #socket: Socket;
  readonly #clientId: string;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { readonly resolve: (answer: Buffer) => void; readonly reject: (error: Error) => void } | null = null;
  #failure: Error | null = null;

  private constructor(socket: Socket, clientId: string) {
    this.#socket = socket;
    this.#clientId = clientId;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#deliver();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the broker closed the connection')));
    socket.setTimeout(answerTimeoutMs, () => socket.destroy(new Error(`no answer within ${answerTimeoutMs / 1000} s`)));
  }

  /**
   * Connects to the first of the brokers that lets us in.
   *
   * @throws {SluiceError} `KAFKA_UNAVAILABLE` (transient), `KAFKA_REFUSED`, `SECRET_UNREADABLE`.
   */
  static async open(settings: KafkaSettings): Promise<BrokerWire> {
    let last: unknown = new Error('no broker is named');
    for (const broker of settings.brokers) {
      const wire = new BrokerWire(await connected(broker, settings.tls), settings.clientId);
      try {
        // What answers this is a broker, and speaks as plainly, or as secretly, as we do.
        await wire.#ask(request.apiVersions, Buffer.alloc(0));
        if (settings.sasl !== undefined) await wire.#authenticate(settings.sasl);
        return wire;
      } catch (error) {
        wire[Symbol.dispose]();
        if (error instanceof SluiceError) throw error;
        last = error;
      }
    }
    throw kafkaFailure(`connect to ${settings.brokers.join(', ')}`, last);
  }

  /**
   * The settings of a topic as they are in force, by Kafka's names (`cleanup.policy`, `retention.ms` …).
   *
   * @throws {SluiceError} `TOPIC_MISSING`, `KAFKA_REFUSED` (the ACL `DescribeConfigs`), `KAFKA_UNAVAILABLE`.
   */
  async topicSettings(topic: string): Promise<ReadonlyMap<string, string>> {
    const action = `ask for the settings of topic ${topic}`;
    const topicResource = 2;
    const body = Buffer.concat([int32(1), int8(topicResource), text(topic), int32(-1), int8(0)]);
    const answer = await this.#ask(request.describeConfigs, body).catch((error: unknown) => {
      throw kafkaFailure(action, error, { topic });
    });
    answer.skip(4);
    const settings = new Map<string, string>();
    for (let results = answer.int32(); results > 0; results--) {
      const code = answer.int16();
      const words = answer.text() ?? '';
      answer.skip(1);
      answer.text();
      if (code !== 0) throw kafkaFailure(action, Object.assign(new Error(words), { code }), { topic });
      for (let configs = answer.int32(); configs > 0; configs--) {
        const name = answer.text() ?? '';
        const value = answer.text();
        // Whether it is read-only, where it comes from, whether it is a secret; then the other places that it could come from, none of which was asked for.
        answer.skip(3);
        for (let synonyms = answer.int32(); synonyms > 0; synonyms--) {
          answer.text();
          answer.text();
          answer.skip(1);
        }
        if (value !== null) settings.set(name, value);
      }
    }
    return settings;
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  async #authenticate(sasl: KafkaSasl): Promise<void> {
    const { mechanism, username } = sasl;
    const password = sasl.passwordFile === undefined ? (sasl.password ?? '') : readSecret(sasl.passwordFile);
    const handshake = await this.#ask(request.saslHandshake, text(mechanism));
    if (handshake.int16() !== 0) throw refusedUser(`the broker does not offer ${mechanism}`);
    const exchange = async (message: string): Promise<string> => {
      const bytes = Buffer.from(message);
      const answer = await this.#ask(request.saslAuthenticate, Buffer.concat([int32(bytes.length), bytes]));
      const code = answer.int16();
      const words = answer.text();
      if (code !== 0) throw refusedUser(words ?? `error ${code}`);
      return answer.bytes().toString();
    };
    if (mechanism === 'PLAIN') {
      await exchange(`\0${username}\0${password}`);
      return;
    }
    const login = { username, password, nonce: randomBytes(18).toString('base64') };
    const answer = answerChallenge(mechanism, login, await exchange(scramGreeting(login)));
    if (answer === null) throw refusedUser("the broker's challenge is not one");
    await exchange(answer);
  }

  async #ask({ key, version }: { readonly key: number; readonly version: number }, body: Buffer): Promise<Answer> {
    const message = Buffer.concat([int16(key), int16(version), int32(key), text(this.#clientId), body]);
    const answer = new Promise<Buffer>((resolve, reject) => (this.#waiting = { resolve, reject }));
    if (this.#failure !== null) this.#fail(this.#failure);
    else this.#socket.write(Buffer.concat([int32(message.length), message]));
    // The number by which answers are told apart comes first; with one request at a time it says nothing.
    const reader = new Answer(await answer);
    reader.skip(4);
    return reader;
  }

  #deliver(): void {
    if (this.#received.length < 4) return;
    const size = this.#received.readInt32BE(0);
    if (size < 0 || size > largestAnswerBytes) {
      this.#socket.destroy(new Error('what answers there is no Kafka broker'));
      return;
    }
    if (this.#received.length < 4 + size) return;
    const answer = this.#received.subarray(4, 4 + size);
    this.#received = this.#received.subarray(4 + size);
    this.#waiting?.resolve(answer);
    this.#waiting = null;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}

function connected(broker: string, tls: KafkaTls | undefined): Promise<Socket> {
  const at = broker.lastIndexOf(':');
  const host = broker.slice(0, at).replaceAll(/^\[|\]$/g, '');
  const port = Number(broker.slice(at + 1));
  return Promise.resolve(
    tls === undefined ? connect({ host, port }) : connectTls({ host, port, ...tlsOptions(host, tls) }),
  );
}

function tlsOptions(host: string, { caFile, certFile, keyFile, keyPasswordFile }: KafkaTls): object {
  return {
    ...(isIP(host) === 0 ? { servername: host } : {}),
    ...(caFile === undefined ? {} : { ca: readPem(caFile) }),
    ...(certFile === undefined ? {} : { cert: readPem(certFile) }),
    ...(keyFile === undefined ? {} : { key: readPem(keyFile) }),
    ...(keyPasswordFile === undefined ? {} : { passphrase: readSecret(keyPasswordFile) }),
  };
}

function readPem(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const words = `could not read ${file}, which the Kafka settings name: ${messageOf(error)}`;
    throw new SluiceError('SECRET_UNREADABLE', words, { fields: { file }, cause: error });
  }
}

function refusedUser(words: string): SluiceError {
  return kafkaRefused('log in to the brokers', words, undefined);
}

function int8(value: number): Buffer {
  return Buffer.from([value & 0xff]);
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([int16(bytes.length), bytes]);
}

/** An answer, read from its beginning to its end. */
class Answer {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.#at += count;
  }

  int16(): number {
    this.#at += 2;
    return this.#bytes.readInt16BE(this.#at - 2);
  }

  int32(): number {
    this.#at += 4;
    return this.#bytes.readInt32BE(this.#at - 4);
  }

  /** `null` where its length is -1. */
  text(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    this.#at += length;
    return this.#bytes.toString('utf8', this.#at - length, this.#at);
  }

  bytes(): Buffer {
    const length = Math.max(0, this.int32());
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }
}
