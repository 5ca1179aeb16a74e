// A connection lives no longer than its credential, whatever library serves
// it, and the page hears why it ended.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { closedCleanly } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { token } from './tokens.mjs';

// The credential's life, in seconds.
const life = 3;

const routes = {
  'gorilla, by query': { path: '/query/expiry', library: 'gorilla', bring: byQuery },
  'gorilla, by first message': { path: '/message/expiry', library: 'gorilla', bring: byMessage },
  'coder, by query': { path: '/coder-query/expiry', library: 'coder', bring: byQuery },
  'coder, by first message': { path: '/coder-message/expiry', library: 'coder', bring: byMessage },
};

function byQuery(secret) {
  return { query: { access_token: secret } };
}

function byMessage(secret) {
  return { send: [JSON.stringify({ type: 'auth', token: secret })] };
}

suite('expiry', (tab) => {
  // All at once: they do little but wait.
  describe('a connection ends with its credential', { concurrency: true }, () => {
    for (const [name, { path, library, bring }] of Object.entries(routes)) {
      it(name, limit, async () => {
        await tab.page(); // Opened before the time runs.
        const exp = Math.floor(Date.now() / 1000) + life;
        const { query, ...plan } = bring(token(tab.site, { exp }));
        const seen = await tab.attempt({ url: tab.site.socket(path, { query }), every: 100, ...plan });
        await endedOnTime(tab.site, path, seen, { exp, library });
      });
    }

    it('a ticket is over in seconds, its connection when the token is', limit, async () => {
      await tab.page();
      const exp = Math.floor(Date.now() / 1000) + life;
      const path = '/ticket-brief/expiry';
      const { ticket, ...desk } = await tab.ticket('/ticket-brief/{case}', { desk: '/brief/tickets', claims: { exp } });
      assert.equal(desk.expires_in, 1);
      assert.ok(desk.session_expires_in > 1 && desk.session_expires_in <= life);
      const seen = await tab.attempt({ url: tab.site.socket(path, { query: { ticket } }), every: 100 });
      await endedOnTime(tab.site, path, seen, { exp, library: 'gorilla' });
    });
  });
});

/** Messages went both ways until `exp`, and within a second of it came the end. */
async function endedOnTime(site, path, seen, { exp, library }) {
  assert.equal(seen.close?.code, 4401, JSON.stringify(seen));
  assert.match(seen.close.reason, /^expired [A-Z2-7]{12}$/);
  closedCleanly(seen.close);
  const late = seen.close.at - exp * 1000;
  assert.ok(late >= 0 && late <= 1000, `it ended ${late} ms after the credential`);
  assert.ok(seen.messages.length >= 5, `only ${seen.messages.length} messages came back`);
  assert.ok(seen.messages.every((message) => message === 'tick'));
  const run = await site.until(({ runs }) => runs.find((r) => r.path === path && r.ended), `the end of ${path}`);
  assert.equal(run.library, library);
  assert.ok(run.messages.length >= seen.messages.length);
  const { events } = await site.record();
  const ended = events.find((event) => event.id === seen.close.reason.split(' ')[1]);
  assert.deepEqual([ended?.kind, ended?.word], ['ended', 'expired']);
}
