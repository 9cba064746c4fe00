import { readFileSync } from 'node:fs';
import type { GlobalConfig } from '@confluentinc/kafka-javascript';
import { SluiceError, messageOf } from '../../error.ts';

/** TLS towards the brokers. Files are PEM; without a CA the system's ones are believed. */
export interface KafkaTls {
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  readonly keyPasswordFile?: string;
}

/** Who we are, by name and password. */
export interface KafkaSasl {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly username: string;
  readonly password?: string;
  /** A file with the password, its last line end left off; wins over `password`. */
  readonly passwordFile?: string;
}

/** Everything needed to connect. Plain data, from the job's profile; secrets in files are read when a client is made. */
export interface KafkaSettings {
  /** `host:port`, one at least; the others are learnt from it. */
  readonly brokers: readonly string[];
  /** Shown in the brokers' logs and quotas. */
  readonly clientId: string;
  readonly tls?: KafkaTls;
  readonly sasl?: KafkaSasl;
  /** How long to look for a broker before that counts as a failure, in milliseconds; 15,000 where absent. */
  readonly connectTimeoutMs?: number;
}

/** What {@link KafkaSettings.connectTimeoutMs} is where it is absent. */
export const defaultConnectTimeoutMs = 15_000;

/** A password as its file holds it. @throws {SluiceError} `SECRET_UNREADABLE`. */
export function readSecret(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    throw new SluiceError(
      'SECRET_UNREADABLE',
      `could not read ${file}, which the Kafka settings name: ${messageOf(error)}`,
      {
        fields: { file },
        cause: error,
      },
    );
  }
}

function tlsProperties({ caFile, certFile, keyFile, keyPasswordFile }: KafkaTls): GlobalConfig {
  return {
    ...(caFile === undefined ? {} : { 'ssl.ca.location': caFile }),
    ...(certFile === undefined ? {} : { 'ssl.certificate.location': certFile }),
    ...(keyFile === undefined ? {} : { 'ssl.key.location': keyFile }),
    ...(keyPasswordFile === undefined ? {} : { 'ssl.key.password': readSecret(keyPasswordFile) }),
  };
}

function saslProperties({ mechanism, username, password, passwordFile }: KafkaSasl): GlobalConfig {
  return {
    'sasl.mechanisms': mechanism,
    'sasl.username': username,
    'sasl.password': passwordFile === undefined ? (password ?? '') : readSecret(passwordFile),
  };
}

/**
 * The settings as librdkafka takes them: what every client of ours begins with.
 *
 * @throws {SluiceError} `SECRET_UNREADABLE` when a password's file cannot be read.
 */
export function clientProperties({ brokers, clientId, tls, sasl }: KafkaSettings): GlobalConfig {
  const isSecured = tls !== undefined;
  const protocol = sasl === undefined ? (isSecured ? 'ssl' : 'plaintext') : isSecured ? 'sasl_ssl' : 'sasl_plaintext';
  return {
    'bootstrap.servers': brokers.join(','),
    'client.id': clientId,
    'security.protocol': protocol,
    ...(tls === undefined ? {} : tlsProperties(tls)),
    ...(sasl === undefined ? {} : saslProperties(sasl)),
    // A broker that went away for a minute must not cost another ten seconds once it is back.
    'reconnect.backoff.ms': 50,
    'reconnect.backoff.max.ms': 1_000,
    'socket.keepalive.enable': true,
  };
}
