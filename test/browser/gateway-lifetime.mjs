// A connection through the gateway lives no longer than what let it in, and
// both of its ends are told.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { closedCleanly } from './expect.mjs';
import { explained, refused } from './gateway-expect.mjs';
import { until } from './gateway-program.mjs';
import { limit } from './gateway-tab.mjs';
import { base64url } from './tokens.mjs';

// A credential's life, in seconds.
const life = 3;

const askedAgain = '/python/cookie/asked-again';

const expired = { code: 4401, status: 401, word: 'expired', cause: /expired$/ };

export function defineLifetime(tab) {
  // All at once: they do little but wait.
  describe('lifetime', { concurrency: true }, () => {
    // One page for all: browsers slow down the timers of those behind it.
    let page;
    let session;
    before(async () => {
      page = await tab.open();
      session = tab.noted(tab.site.whoami.login({ fresh: 2 }));
      await tab.setCookies([`session=${session}; Path=${askedAgain}; Secure; HttpOnly; SameSite=Strict`], page);
    });
    after(() => page?.close());

    const bring = {
      node: { segment: 'query', carrier: 'query', plan: (secret) => ({ query: { access_token: secret } }) },
      python: {
        segment: 'message', carrier: 'first_message', plan: (secret) => ({ send: [JSON.stringify({ type: 'auth', token: secret })] }),
      },
      go: {
        segment: 'subprotocol', carrier: 'subprotocol', plan: (secret) => ({ protocols: ['chat.v1', `usher.bearer.${base64url(secret)}`] }),
      },
    };
    for (const [backend, { segment, carrier, plan }] of Object.entries(bring)) {
      it(`${backend}: the token ends`, limit, async () => {
        const exp = Math.floor(Date.now() / 1000) + life;
        const path = `/${backend}/${segment}/expiry`;
        const seen = await tab.attempt({ path, every: 50, ...plan(tab.token({ exp })) }, page);
        await endedOnTime(backend, path, carrier, seen, exp);
      });
    }

    it('a ticket is used at once, and its connection ends when the token does', limit, async () => {
      const exp = Math.floor(Date.now() / 1000) + life;
      const ticket = await tab.ticket('/node/ticket/{case}', { claims: { exp }, page });
      const path = '/node/ticket/expiry';
      const seen = await tab.attempt({ path, every: 50, query: { ticket } }, page);
      await endedOnTime('node', path, 'ticket', seen, exp);
    });

    it('a ticket that came too late', limit, async () => {
      const exp = Math.floor(Date.now() / 1000) + 2;
      const ticket = await tab.ticket('/go/ticket/{case}', { claims: { exp }, page });
      await pause(exp * 1000 + 100 - Date.now());
      const plan = { backend: 'go', path: '/go/ticket/late', secrets: [ticket], query: { ticket } };
      await refused(tab, { ...plan, carrier: 'ticket', why: expired }, page);
    });

    it('a session that the application is asked about again, until it says no', limit, async () => {
      let loggedOut;
      const logout = (async () => {
        await until(() => tab.site.whoami.about(session).length >= 2, 'the second question', 10_000);
        loggedOut = Date.now();
        tab.site.whoami.logout(session);
      })();
      const seen = await tab.attempt({ path: askedAgain, every: 50 }, page);
      await logout;
      const why = { code: 4401, status: 401, word: 'unauthenticated', cause: /status 401$/ };
      assert.equal(seen.close.code, why.code, JSON.stringify(seen));
      const late = seen.close.at - loggedOut;
      assert.ok(late >= 0 && late < 2500, `it ended ${late} ms after the logout`);
      assert.ok(seen.ms > 2000, `it ended after ${seen.ms} ms, before its first answer did`);
      await explained(tab, seen.close.reason, { verdict: 'ended', carrier: 'cookie', why, secrets: [session] });
      await ticked('python', askedAgain.replace('/python', ''), seen);
    });

    it('no first message', limit, async () => {
      const why = { code: 4408, status: 408, word: 'auth_timeout', cause: /./ };
      await refused(tab, { backend: 'go', path: '/go/message/silent', carrier: '.*', why }, page);
    });
  });

  /** Messages went both ways until `exp`, and within a second of it came the end. */
  async function endedOnTime(backend, path, carrier, seen, exp) {
    assert.equal(seen.close?.code, expired.code, JSON.stringify(seen));
    assert.match(seen.close.reason, /^expired [A-Z2-7]{12}$/);
    closedCleanly(seen.close);
    const late = seen.close.at - exp * 1000;
    assert.ok(late >= 0 && late <= 1000, `it ended ${late} ms after the credential`);
    const text = await explained(tab, seen.close.reason, { verdict: 'ended', carrier, why: expired });
    assert.match(text, /^  subject +ann$/m);
    await ticked(backend, path.replace(`/${backend}`, ''), seen);
  }

  /** The backend repeated all that it got, and got a Close frame at the end. */
  async function ticked(backend, path, seen) {
    assert.ok(seen.messages.length >= 5, `only ${seen.messages.length} messages came back`);
    assert.ok(seen.messages.every((message) => message === 'tick'), JSON.stringify(seen.messages));
    const { messages, code } = await tab.site.backends[backend].over(path);
    assert.ok(messages.length >= seen.messages.length);
    assert.ok(messages.every((message) => message === 'tick'), JSON.stringify(messages));
    assert.equal(code, 1001, 'the backend gets a Close frame');
  }
}
