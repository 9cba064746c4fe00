import { readRedisUrl, readServerUrl } from './service-url.ts';
import {
  addressForms,
  isBroker,
  leastWorkingSetBytes,
  saslMechanisms,
  type LoginPart,
  type SaslMechanism,
  type SettingsParts,
  type TlsPart,
} from './settings-parts.ts';

/** The environment: `process.env`, or a test's. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** What the environment says, and what is wrong with it, a sentence each; the sentences hold no values of addresses and secrets. */
export interface EnvironmentSettings {
  readonly parts: SettingsParts;
  readonly problems: readonly string[];
}

/**
 * The variables that settings are read from; an empty one counts as not set. One that begins like them and is none is a problem, too: it would be believed to
 * have an effect.
 */
const variables = {
  kafka: [
    'BROKERS',
    'CLIENT_ID',
    'USER',
    'PASSWORD',
    'PASSWORD_FILE',
    'SASL_MECHANISM',
    'TLS',
    'TLS_CA_FILE',
    'TLS_CERT_FILE',
    'TLS_KEY_FILE',
    'TLS_KEY_PASSWORD_FILE',
    'REPLICAS',
  ],
  redis: [
    'URL',
    'USER',
    'PASSWORD',
    'PASSWORD_FILE',
    'TLS_CA_FILE',
    'TLS_CERT_FILE',
    'TLS_KEY_FILE',
    'TLS_SERVER_NAME',
  ],
  clickhouse: ['URL', 'USER', 'PASSWORD', 'PASSWORD_FILE', 'TLS_CA_FILE', 'TLS_CERT_FILE', 'TLS_KEY_FILE'],
  schemaRegistry: ['URL', 'USER', 'PASSWORD', 'PASSWORD_FILE'],
  state: ['WORKING_SET_BYTES'],
} as const;

const prefixes = {
  kafka: 'SLUICE_KAFKA_',
  redis: 'SLUICE_REDIS_',
  clickhouse: 'SLUICE_CLICKHOUSE_',
  schemaRegistry: 'SLUICE_SCHEMA_REGISTRY_',
  state: 'SLUICE_STATE_',
} as const;

type Service = keyof typeof prefixes;

/** Reads settings from the environment: what wins over a settings file. */
export function environmentSettings(environment: Environment): EnvironmentSettings {
  const reader = new EnvironmentReader(environment);
  return {
    parts: {
      kafka: reader.kafka(),
      redis: reader.redis(),
      clickhouse: reader.clickHouse(),
      schemaRegistry: reader.server('schemaRegistry'),
      state: reader.state(),
    },
    problems: reader.problems,
  };
}

class EnvironmentReader {
  readonly problems: string[] = [];
  readonly #environment: Environment;

  constructor(environment: Environment) {
    this.#environment = environment;
  }

  kafka(): SettingsParts['kafka'] {
    if (!this.#has('kafka')) return undefined;
    const get = (name: string): string | undefined => this.#get('kafka', name);
    const mechanism = get('SASL_MECHANISM');
    const replicas = get('REPLICAS');
    const tls = get('TLS');
    const brokers = get('BROKERS')?.split(',');
    if (brokers?.every(isBroker) === false) this.#refuse('kafka', 'BROKERS', `${addressForms.broker},host:port …`);
    if (mechanism !== undefined && !isMechanism(mechanism)) {
      this.#refuse('kafka', 'SASL_MECHANISM', `one of ${saslMechanisms.join(', ')}`);
    }
    if (replicas !== undefined && !/^[1-9]\d?$/.test(replicas)) this.#refuse('kafka', 'REPLICAS', 'a whole number');
    if (tls !== undefined && tls !== 'on' && tls !== 'off') this.#refuse('kafka', 'TLS', 'on or off');
    const files = this.#tls('kafka');
    return {
      brokers,
      clientId: get('CLIENT_ID'),
      mechanism: mechanism !== undefined && isMechanism(mechanism) ? mechanism : undefined,
      ...this.#login('kafka'),
      tls: tls === 'on' ? { ...files } : tls === 'off' ? undefined : files,
      replicas: replicas === undefined ? undefined : Number(replicas),
    };
  }

  redis(): SettingsParts['redis'] {
    if (!this.#has('redis')) return undefined;
    const url = this.#get('redis', 'URL');
    if (url !== undefined && readRedisUrl(url) === null) this.#refuse('redis', 'URL', addressForms.redis);
    return { url, ...this.#login('redis'), tls: this.#tls('redis') };
  }

  clickHouse(): SettingsParts['clickhouse'] {
    const server = this.server('clickhouse');
    return server === undefined ? undefined : { ...server, tls: this.#tls('clickhouse') };
  }

  server(service: 'clickhouse' | 'schemaRegistry'): SettingsParts['schemaRegistry'] {
    if (!this.#has(service)) return undefined;
    const url = this.#get(service, 'URL');
    if (url !== undefined && readServerUrl(url) === null) this.#refuse(service, 'URL', addressForms.server);
    return { url, ...this.#login(service) };
  }

  state(): SettingsParts['state'] {
    if (!this.#has('state')) return undefined;
    const bytes = this.#get('state', 'WORKING_SET_BYTES');
    if (bytes === undefined) return {};
    if (!/^\d{1,15}$/.test(bytes) || Number(bytes) < leastWorkingSetBytes) {
      this.#refuse('state', 'WORKING_SET_BYTES', `a whole number of bytes, ${leastWorkingSetBytes} or more`);
      return {};
    }
    return { workingSetBytes: Number(bytes) };
  }

  /** Whether any variable of the service is set; says which of those that begin like one are none. */
  #has(service: Service): boolean {
    const prefix = prefixes[service];
    const given = Object.keys(this.#environment).filter(
      (name) => name.startsWith(prefix) && this.#environment[name] !== '',
    );
    const known = variables[service].map((name) => prefix + name);
    for (const name of given) {
      if (!known.includes(name))
        this.problems.push(`${name} is not a setting; those of its kind are ${known.join(', ')}`);
    }
    return given.some((name) => known.includes(name));
  }

  #get(service: Service, name: string): string | undefined {
    const value = this.#environment[prefixes[service] + name];
    return value === '' ? undefined : value;
  }

  #login(service: Service): LoginPart {
    const [password, passwordFile] = [this.#get(service, 'PASSWORD'), this.#get(service, 'PASSWORD_FILE')];
    if (password !== undefined && passwordFile !== undefined) {
      const prefix = prefixes[service];
      this.problems.push(`${prefix}PASSWORD and ${prefix}PASSWORD_FILE must not both be set`);
    }
    return { user: this.#get(service, 'USER'), password, passwordFile };
  }

  #tls(service: Service): TlsPart | undefined {
    const get = (name: string): string | undefined => this.#get(service, `TLS_${name}`);
    const part: TlsPart = {
      ca: get('CA_FILE'),
      cert: get('CERT_FILE'),
      key: get('KEY_FILE'),
      keyPasswordFile: get('KEY_PASSWORD_FILE'),
      serverName: get('SERVER_NAME'),
    };
    return Object.values(part).some((value) => value !== undefined) ? part : undefined;
  }

  #refuse(service: Service, name: string, expected: string): void {
    this.problems.push(`${prefixes[service]}${name} must be ${expected}`);
  }
}

function isMechanism(text: string): text is SaslMechanism {
  return (saslMechanisms as readonly string[]).includes(text);
}
