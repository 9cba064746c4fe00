import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

/** Who logs in. The nonce is random text without commas, another one each time. */
export interface ScramLogin {
  readonly username: string;
  readonly password: string;
  readonly nonce: string;
}

const channelBinding = 'n,,';
/** As RFC 7677 has it; a broker that asked for fewer rounds would make the password cheaper to guess. */
const leastRounds = 4_096;

/** The first message of a login by SCRAM (RFC 5802), without channel binding. */
export function scramGreeting(login: ScramLogin): string {
  return channelBinding + bareGreeting(login);
}

/**
 * The second and last: the proof that one knows the password, made of the broker's challenge. The broker's own proof that follows is not looked at: TLS says who it is.
 *
 * @returns `null` where the challenge is none, or is not for this login.
 */
export function answerChallenge(
  mechanism: 'SCRAM-SHA-256' | 'SCRAM-SHA-512',
  login: ScramLogin,
  challenge: string,
): string | null {
  const [hash, keyLength] = mechanism === 'SCRAM-SHA-256' ? ['sha256', 32] : ['sha512', 64];
  const fields = new Map(challenge.split(',').map((field) => [field.slice(0, 1), field.slice(2)]));
  const [nonce, salt, rounds] = [fields.get('r') ?? '', fields.get('s') ?? '', Number(fields.get('i'))];
  if (!nonce.startsWith(login.nonce) || nonce === login.nonce || !(rounds >= leastRounds)) return null;
  const salted = pbkdf2Sync(login.password, Buffer.from(salt, 'base64'), rounds, keyLength, hash);
  const clientKey = createHmac(hash, salted).update('Client Key').digest();
  const storedKey = createHash(hash).update(clientKey).digest();
  const last = `c=${Buffer.from(channelBinding).toString('base64')},r=${nonce}`;
  const signature = createHmac(hash, storedKey)
    .update(`${bareGreeting(login)},${challenge},${last}`)
    .digest();
  const proof = Buffer.from(clientKey.map((byte, i) => byte ^ (signature[i] ?? 0)));
  return `${last},p=${proof.toString('base64')}`;
}

function bareGreeting({ username, nonce }: ScramLogin): string {
  return `n=${username.replaceAll('=', '=3D').replaceAll(',', '=2C')},r=${nonce}`;
}
