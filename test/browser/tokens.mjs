// Tokens as the site's login would make them: an implementation of RFC 7515
// that shares nothing with the one under test.
import { createHmac, randomUUID } from 'node:crypto';

export const base64url = (text) => Buffer.from(text).toString('base64url');

/** Signs `claims` with `secret`, by HS256; `header` is for more than its usual members. */
export function sign(claims, secret, header = {}) {
  const signed = `${base64url(JSON.stringify({ alg: 'HS256', typ: 'JWT', ...header }))}.${base64url(JSON.stringify(claims))}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

/** A good token of ann's for five minutes, but for what `claims` says. */
export function token(site, claims = {}) {
  const now = Math.floor(Date.now() / 1000);
  const usual = {
    iss: 'https://login.test', aud: 'chat', sub: 'ann', iat: now, exp: now + 300, jti: randomUUID(),
  };
  return sign({ ...usual, ...claims }, site.secret);
}

/**
 * Every reason for which a token is refused, with what the page then sees and
 * what the operator does.
 */
export const badTokens = [
  { reason: 'malformed', make: () => 'not-a-token', code: 4401, word: 'unauthenticated', cause: /not a signed jwt/ },
  {
    reason: 'wrong signature',
    make: (site) => token({ ...site, secret: 'of somebody else, and just as long' }),
    code: 4401,
    word: 'unauthenticated',
    cause: /wrong signature/,
  },
  {
    reason: 'expired',
    make: (site) => token(site, { exp: Math.floor(Date.now() / 1000) - 5 }),
    code: 4401,
    word: 'expired',
    cause: /expired$/,
  },
  {
    reason: 'wrong audience',
    make: (site) => token(site, { aud: 'mail' }),
    code: 4401,
    word: 'unauthenticated',
    cause: /another audience/,
  },
  {
    reason: 'forbidden by the verifier',
    make: (site) => token(site, { verdict: 'forbidden' }),
    code: 4403,
    word: 'forbidden',
    cause: /forbidden$/,
  },
  {
    reason: 'out of reach',
    make: (site) => token(site, { verdict: 'unavailable' }),
    code: 4503,
    word: 'unavailable',
    cause: /out of reach$/,
  },
];

/** A secret as it is, and as it looks on its way. */
export function spellings(secret) {
  const base64 = Buffer.from(secret).toString('base64');
  const signature = secret.split('.')[2] ?? secret;
  return [secret, signature, base64, base64.replace(/=+$/, ''), base64url(secret), encodeURIComponent(secret)];
}
