// Every way to bring a credential turns a bad one away, so that the page knows
// why and the handler knows nothing of it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { refused } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { badTokens, base64url, token } from './tokens.mjs';

// What the page sees, with why in the operator's words.
const unauthenticated = (cause) => ({ code: 4401, word: 'unauthenticated', cause });
const expired = (cause) => ({ code: 4401, word: 'expired', cause });
const forbidden = (cause) => ({ code: 4403, word: 'forbidden', cause });
const unavailable = (cause) => ({ code: 4503, word: 'unavailable', cause });
const noCredential = unauthenticated(/no credential$/);
const twoCredentials = forbidden(/two different credentials/);
const noMessage = unauthenticated(/not an authentication message/);
const csrfWrong = forbidden(/csrf token missing or wrong/);
const dashed = (text) => text.replaceAll(' ', '-');

// How each carrier brings a token, as a part of a plan for attempt.
const carriers = {
  subprotocol: (secret) => ({ protocols: ['chat.v1', `usher.bearer.${base64url(secret)}`] }),
  message: (secret) => ({ send: [JSON.stringify({ type: 'auth', token: secret }), 'hello'] }),
  query: (secret) => ({ query: { access_token: secret } }),
  cookie: (secret, path) => ({ cookies: [`session=${secret}; Path=${path}; Secure; HttpOnly; SameSite=Strict`] }),
};

/** Tries a plan for attempt at `path`, and expects `why`. */
async function expectRefusal(tab, path, { query, cookies, ...plan }, why) {
  if (cookies) await tab.setCookies(cookies);
  const seen = await tab.attempt({ url: tab.site.socket(path, { query }), ...plan });
  await refused(tab.site, path, seen, why);
  return seen;
}

suite('refused', (tab) => {
  describe('a token', () => {
    for (const [carrier, bring] of Object.entries(carriers)) {
      for (const { reason, make, ...why } of badTokens) {
        it(`${carrier}: ${reason}`, limit, async () => {
          const path = `/${carrier}/${dashed(reason)}`;
          await expectRefusal(tab, path, bring(make(tab.site), path), why);
        });
      }
    }

    for (const carrier of ['subprotocol', 'query', 'cookie']) {
      it(`${carrier}: no credential`, limit, async () => {
        await expectRefusal(tab, `/${carrier}/none`, {}, noCredential);
      });
    }

    it('subprotocol: not base64url', limit, async () => {
      const protocols = ['chat.v1', 'usher.bearer.a+b'];
      await expectRefusal(tab, '/subprotocol/alphabet', { protocols }, unauthenticated(/malformed/));
    });

    it('message: another one came first', limit, async () => {
      await expectRefusal(tab, '/message/another', { send: ['hello'] }, noMessage);
    });

    it('message: longer than 8 KiB', limit, async () => {
      const send = [JSON.stringify({ type: 'auth', token: 'x'.repeat(9000) })];
      await expectRefusal(tab, '/message/long', { send }, noMessage);
    });

    it('message: none in time', limit, async () => {
      const why = { code: 4408, word: 'auth_timeout', cause: /in time/ };
      const seen = await expectRefusal(tab, '/message-hasty/none', {}, why);
      assert.ok(seen.ms >= 290 && seen.ms < 3000, `the time was up after ${seen.ms} ms`);
    });
  });

  describe('two credentials', () => {
    const ann = () => token(tab.site);
    const bob = () => token(tab.site, { sub: 'bob' });

    it('a token in the query and another one by subprotocol', limit, async () => {
      const plan = { ...carriers.query(ann()), ...carriers.subprotocol(ann()) };
      await expectRefusal(tab, '/mixed/two-tokens', plan, twoCredentials);
    });

    it('two tokens in the query', limit, async () => {
      const path = '/query/two';
      const url = `${tab.site.socket(path, { query: { access_token: ann() } })}&access_token=${bob()}`;
      await refused(tab.site, path, await tab.attempt({ url }), twoCredentials);
    });

    it('a token in the query beside the cookie of somebody else', limit, async () => {
      const path = '/mixed/two-subjects';
      await expectRefusal(tab, path, { ...carriers.query(ann()), ...carriers.cookie(bob(), path) }, twoCredentials);
    });

    it('two cookies of one name', limit, async () => {
      const path = '/cookie/planted';
      // A sibling site can plant the second one (RFC 6265 §8.6).
      const planted = `session=${bob()}; Domain=app.test; Path=${path}; Secure`;
      const cookies = [...carriers.cookie(ann(), path).cookies, planted];
      await expectRefusal(tab, path, { cookies }, unauthenticated(/malformed/));
      assert.deepEqual((await tab.site.visits(path))[0].cookies, ['session', 'session']);
    });
  });

  describe('a session that needs a CSRF token', () => {
    const login = (subject) => tab.setCookies([
      `guarded=${token(tab.site, { sub: subject })}; Path=/; Secure; HttpOnly; SameSite=Strict`,
    ]);
    const csrf = async () => JSON.parse((await tab.ask('/csrf')).text).csrf_token;

    it('none', limit, async () => {
      await login('ann');
      await expectRefusal(tab, '/cookie-csrf/none', {}, csrfWrong);
    });

    it('malformed', limit, async () => {
      await login('ann');
      await expectRefusal(tab, '/cookie-csrf/malformed', { query: { csrf_token: 'guess' } }, csrfWrong);
    });

    it('of another session', limit, async () => {
      await login('mallory');
      const hers = await csrf();
      await login('ann');
      await expectRefusal(tab, '/cookie-csrf/of-another', { query: { csrf_token: hers } }, csrfWrong);
    });

    it('without its session', limit, async () => {
      await login('ann');
      const hers = await csrf();
      await tab.setCookies(['guarded=; Path=/; Secure; Max-Age=0']);
      await expectRefusal(tab, '/cookie-csrf/alone', { query: { csrf_token: hers } }, noCredential);
    });
  });

  describe('a ticket', () => {
    // By query and subprotocol a ticket comes with the handshake, else after it.
    const ways = {
      query: { route: '/ticket/{case}', bring: (ticket) => ({ query: { ticket } }) },
      subprotocol: {
        route: '/ticket/{case}',
        bring: (ticket) => ({ protocols: ['chat.v1', `usher.ticket.${ticket}`] }),
      },
      message: {
        route: '/ticket-message/{case}',
        bring: (ticket) => ({ send: [JSON.stringify({ type: 'auth', ticket }), 'hello'] }),
      },
    };
    for (const [way, { route, bring }] of Object.entries(ways)) {
      const at = (name) => route.replace('{case}', `${way}-${name}`);

      it(`${way}: malformed`, limit, async () => {
        await expectRefusal(tab, at('malformed'), bring('not-a-ticket'), unauthenticated(/not a ticket/));
      });

      it(`${way}: tampered with`, limit, async () => {
        const { ticket } = await tab.ticket(route);
        const i = ticket.length >> 1;
        const other = ticket.slice(0, i) + (ticket[i] === 'A' ? 'B' : 'A') + ticket.slice(i + 1);
        await expectRefusal(tab, at('tampered'), bring(other), unauthenticated(/seal broken/));
      });

      it(`${way}: spent`, limit, async () => {
        const { ticket } = await tab.ticket(route);
        const { query, ...plan } = bring(ticket);
        const url = tab.site.socket(at('first'), { query });
        const first = await tab.attempt({ url, replies: 1, send: ['hello'], ...plan });
        assert.deepEqual(first.messages, ['hello']);
        await expectRefusal(tab, at('spent'), bring(ticket), unauthenticated(/already used/));
      });

      it(`${way}: of another route`, limit, async () => {
        const other = way === 'message' ? ways.query.route : ways.message.route;
        const { ticket } = await tab.ticket(other);
        await expectRefusal(tab, at('another-route'), bring(ticket), unauthenticated(/another route/));
      });

      it(`${way}: of a page of another origin`, limit, async () => {
        const { ticket } = await tab.ticket(route, { host: 'other.test' });
        await expectRefusal(tab, at('another-origin'), bring(ticket), unauthenticated(/another origin/));
      });
    }

    it('none', limit, async () => {
      await expectRefusal(tab, '/ticket/none', {}, noCredential);
    });

    it('sealed by a stranger', limit, async () => {
      const { ticket } = await tab.ticket('/ticket-brief/{case}', { desk: '/brief/tickets' });
      await expectRefusal(tab, '/ticket/stranger', { query: { ticket } }, unauthenticated(/key that is not in use/));
    });

    it('expired', limit, async () => {
      const { ticket } = await tab.ticket('/ticket-brief/{case}', { desk: '/brief/tickets' });
      await pause(1100); // It lives for a second.
      await expectRefusal(tab, '/ticket-brief/expired', { query: { ticket } }, expired(/expired$/));
    });

    it('two', limit, async () => {
      const [first, second] = [await tab.ticket('/ticket/{case}'), await tab.ticket('/ticket/{case}')];
      const plan = { query: { ticket: first.ticket }, protocols: ['chat.v1', `usher.ticket.${second.ticket}`] };
      await expectRefusal(tab, '/ticket/two', plan, twoCredentials);
    });

    it('the memory of used tickets is down', limit, async () => {
      const { ticket } = await tab.ticket('/ticket-down/{case}', { desk: '/down/tickets' });
      await expectRefusal(tab, '/ticket-down/unknown', { query: { ticket } }, unavailable(/store is down/));
    });

    it('a token where a ticket is wanted', limit, async () => {
      await expectRefusal(tab, '/ticket/token', { query: { access_token: token(tab.site) } }, noCredential);
    });
  });
});
