// Cross-site WebSocket hijacking (CWE-1385): pages of others, in the browser
// of somebody who is logged in, with third-party cookies allowed and blocked.
// What proves anything is that the handshake arrived, with the victim's cookie
// where the browser sends it, and that the handler did not run.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { attempt, attemptInSandbox, embed } from './attempt.mjs';
import { admitted, turnedAway } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { token } from './tokens.mjs';

for (const thirdPartyCookies of [true, false]) {
  const title = `hijacking, third-party cookies ${thirdPartyCookies ? 'allowed' : 'blocked'}`;
  suite(title, (tab) => defineHijacking(tab, thirdPartyCookies), { thirdPartyCookies });
}

function defineHijacking(tab, thirdPartyCookies) {
  const login = async (path, attributes) => {
    const secret = token(tab.site);
    await tab.setCookies([`session=${secret}; Path=${path}; Secure; HttpOnly; ${attributes}`]);
    return secret;
  };
  const plan = (path) => ({ url: tab.site.socket(path), protocols: ['chat.v1'], send: ['hello'], replies: 1 });

  /** The handshake from `origin` arrived, with the cookie or without, and was turned away. */
  async function expectTurnedAway(path, seen, { origin, cookie }) {
    const visits = await turnedAway(tab.site, path, seen, { status: 403 });
    assert.deepEqual(visits.map((visit) => visit.origin), [origin]);
    assert.equal(visits[0].cookies?.includes('session') ?? false, cookie, 'whether the victim\'s cookie came along');
  }

  it('the victim\'s own page comes in', limit, async () => {
    const path = '/cookie/own';
    const secret = await login(path, 'SameSite=None');
    await admitted(tab.site, path, await tab.attempt(plan(path)), { secrets: [secret] });
  });

  it('a page of another site', limit, async () => {
    const path = '/cookie/evil';
    await login(path, 'SameSite=None');
    const seen = await tab.attempt(plan(path), 'evil.test');
    await expectTurnedAway(path, seen, { origin: tab.site.origin('evil.test'), cookie: thirdPartyCookies });
  });

  it('a page of another site, with a cookie that a frame in it set, partitioned', limit, async () => {
    const path = '/cookie/partitioned';
    const cookie = `session=${token(tab.site)}; Path=${path}; Secure; HttpOnly; SameSite=None; Partitioned`;
    const page = await tab.page('evil.test');
    await page.evaluate(embed, `${tab.site.origin()}/page?${new URLSearchParams({ cookie })}`);
    const seen = await page.evaluate(attempt, plan(path));
    await expectTurnedAway(path, seen, { origin: tab.site.origin('evil.test'), cookie: true });
  });

  it('a sibling subdomain, to which the strictest cookie is its own', limit, async () => {
    const path = '/cookie/sibling';
    await login(path, 'SameSite=Strict');
    const seen = await tab.attempt(plan(path), 'api.app.test');
    await expectTurnedAway(path, seen, { origin: tab.site.origin('api.app.test'), cookie: true });
  });

  it('the same host at another port, which cookies do not tell apart', limit, async () => {
    const path = '/cookie/port';
    await login(path, 'SameSite=Strict');
    const page = await tab.page('app.test', tab.site.other_port);
    const seen = await page.evaluate(attempt, plan(path));
    const origin = tab.site.origin('app.test', tab.site.other_port);
    await expectTurnedAway(path, seen, { origin, cookie: true });
  });

  it('a sandboxed frame in the victim\'s own page', limit, async () => {
    const path = '/cookie/sandbox';
    await login(path, 'SameSite=None');
    const page = await tab.page();
    const seen = await page.evaluate(attemptInSandbox, { text: attempt.toString(), plan: plan(path) });
    await expectTurnedAway(path, seen, { origin: 'null', cookie: thirdPartyCookies });
  });

  it('a page of another site with a good token, which it must not have', limit, async () => {
    const path = '/query/evil';
    const url = tab.site.socket(path, { query: { access_token: token(tab.site) } });
    const seen = await tab.attempt({ ...plan(path), url }, 'evil.test');
    await expectTurnedAway(path, seen, { origin: tab.site.origin('evil.test'), cookie: false });
  });
}
