import { describe, expect, it } from 'vitest';
import { answerChallenge, scramGreeting } from './scram.ts';

const login = { username: 'user', password: 'pencil', nonce: 'rOprNGfwEbeRWgbNEkqO' };
const challenge = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';

describe('a login by SCRAM', () => {
  it('says what the example of RFC 7677 says', () => {
    expect(scramGreeting(login)).toBe('n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
    expect(answerChallenge('SCRAM-SHA-256', login, challenge)).toBe(
      'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
    );
  });

  it('writes the two characters that a name may not hold as they must be written', () => {
    expect(scramGreeting({ ...login, username: 'a=b,c' })).toContain('n=a=3Db=2Cc,');
  });

  it.each([
    ['of another login', challenge.replace('rOpr', 'xxxx')],
    ['with too few rounds', challenge.replace('4096', '1000')],
    ['without rounds', challenge.replace(',i=4096', '')],
    ['that adds nothing to the nonce', `r=${login.nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`],
    ['that is none', 'e=unknown-user'],
  ])('proves nothing to a challenge %s', (_, other) => {
    expect(answerChallenge('SCRAM-SHA-256', login, other)).toBeNull();
  });
});
