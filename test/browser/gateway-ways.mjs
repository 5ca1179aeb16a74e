// The ways for a page to bring a credential to the gateway, each with
// credentials that are good and bad, and what becomes of the bad ones.
import { base64url, token } from './tokens.mjs';

const unauthenticated = (cause) => ({ code: 4401, status: 401, word: 'unauthenticated', cause });
const expired = { code: 4401, status: 401, word: 'expired', cause: /expired$/m };
const none = unauthenticated(/no credential$/m);
const past = () => Math.floor(Date.now() / 1000) - 5;

/** How a credential is made: good, or bad so that the page sees why. */
const kinds = {
  token: {
    good: (tab) => tab.token(),
    bad: {
      wrong: { make: (tab) => tab.token({ aud: 'mail' }), why: unauthenticated(/another audience$/m) },
      forged: {
        make: (tab) => tab.noted(token({ secret: 'of somebody else, and just as long' })),
        why: unauthenticated(/wrong signature$/m),
      },
      expired: { make: (tab) => tab.token({ exp: past() }), why: expired },
    },
  },
  ticket: {
    good: (tab, route) => tab.ticket(route),
    bad: {
      wrong: {
        make: async (tab, route) => {
          const ticket = await tab.ticket(route);
          const middle = ticket.length >> 1;
          return `${ticket.slice(0, middle)}${ticket[middle] === 'A' ? 'B' : 'A'}${ticket.slice(middle + 1)}`;
        },
        why: unauthenticated(/seal broken$/m),
      },
      'of another route': {
        make: (tab, route) => tab.ticket(route.replace(/^\/(\w+)\/\w+/, '/$1/all')),
        why: unauthenticated(/another route$/m),
      },
    },
  },
  session: {
    good: (tab) => tab.noted(tab.site.whoami.login()),
    bad: {
      wrong: {
        make: (tab) => tab.noted(base64url(crypto.getRandomValues(new Uint8Array(24)))),
        why: unauthenticated(/status 401$/m),
      },
      expired: { make: (tab) => tab.noted(tab.site.whoami.login({ exp: past() })), why: expired },
    },
  },
  proof: {
    good: async (tab, route) => {
      const session = tab.noted(tab.site.whoami.login());
      await tab.setCookies([`guarded=${session}; Path=/; Secure; HttpOnly; SameSite=Strict`]);
      const path = `/usher/v1/csrf?${new URLSearchParams({ route })}`;
      const { text } = await tab.ask(path, { credentials: 'include' });
      return tab.noted(JSON.parse(text).csrf_token);
    },
    bad: {
      wrong: {
        make: async (tab, route) => {
          const proof = await kinds.proof.good(tab, route);
          return `${proof.slice(0, -2)}${proof.endsWith('AA') ? 'BB' : 'AA'}`;
        },
        why: { code: 4403, status: 403, word: 'forbidden', cause: /csrf token missing or wrong$/m },
      },
    },
  },
};

const cookie = (name, value, path) => [`${name}=${value}; Path=${path}; Secure; HttpOnly; SameSite=Strict`];

/**
 * The ways: `segment` is that of their routes, `bring` is how a credential
 * becomes a part of a plan for Tab.attempt, `absent` is a plan without one.
 */
export const ways = [
  {
    name: 'ticket by query', segment: 'ticket', carrier: 'ticket', kind: kinds.ticket, none,
    bring: (secret) => ({ query: { ticket: secret } }),
  },
  {
    name: 'ticket by subprotocol', segment: 'ticket', carrier: 'ticket', kind: kinds.ticket,
    bring: (secret) => ({ protocols: ['chat.v1', `usher.ticket.${secret}`] }),
  },
  {
    name: 'ticket by first message', segment: 'message', carrier: 'first_message', kind: kinds.ticket,
    bring: (secret) => ({ send: [JSON.stringify({ type: 'auth', ticket: secret }), 'hello'] }),
  },
  {
    name: 'token by subprotocol', segment: 'subprotocol', carrier: 'subprotocol', kind: kinds.token, none,
    bring: (secret) => ({ protocols: ['chat.v1', `usher.bearer.${base64url(secret)}`] }),
  },
  {
    name: 'token by first message', segment: 'message', carrier: 'first_message', kind: kinds.token,
    bring: (secret) => ({ send: [JSON.stringify({ type: 'auth', token: secret }), 'hello'] }),
  },
  {
    name: 'token by query', segment: 'query', carrier: 'query', kind: kinds.token, none,
    bring: (secret) => ({ query: { access_token: secret, room: '1' } }),
  },
  {
    name: 'cookie', segment: 'cookie', carrier: 'cookie', kind: kinds.session, none,
    bring: (secret, path) => ({ cookies: [...cookie('session', secret, path), `theme=dark; Path=${path}; Secure`] }),
  },
  {
    name: 'cookie with a CSRF token', segment: 'csrf', carrier: 'cookie', kind: kinds.proof, none,
    bring: (secret) => ({ query: { csrf_token: secret } }),
    absent: { cookies: ['guarded=; Path=/; Secure; Max-Age=0'] },
  },
];
