// Pages of other sites, in the browser of somebody who is logged in: the
// backend never learns of them, and neither is the application asked.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attempt } from './attempt.mjs';
import { admitted, failed, untouched } from './gateway-expect.mjs';
import { limit } from './gateway-tab.mjs';

export function defineForeign(tab) {
  describe('foreign pages', () => {
    /** Logs ann in, with a cookie for `path` at the gateway and at the application. */
    async function login(path, attributes) {
      const session = tab.noted(tab.site.whoami.login());
      await tab.setCookies([`session=${session}; Path=${path}; Secure; HttpOnly; ${attributes}`]);
      return session;
    }

    /** The browser sends the cookie along from `page`: seen at the application. */
    async function bringsCookie(page, path, session) {
      const url = `wss://app.test:${tab.site.pages.port}${path}`;
      failed(await page.evaluate(attempt, { url }));
      const { cookie } = tab.site.pages.handshakes.at(-1);
      assert.equal(cookie, `session=${session}`, 'or the test would prove nothing');
    }

    const cases = [
      { name: 'another site', host: 'evil.test', attributes: 'SameSite=None' },
      { name: 'a sibling, to which the strictest cookie is its own', host: 'api.app.test', attributes: 'SameSite=Strict' },
    ];
    for (const { name, host, attributes } of cases) {
      it(name, limit, async () => {
        const own = `/cookie/${host}`;
        const path = `/node${own}`;
        const session = await login(path, attributes);
        const page = await tab.page(host);
        await bringsCookie(page, path, session);
        const since = Date.now() - 1;
        failed(await tab.attempt({ path, send: ['hello'] }, page));
        const refusals = await tab.gateway.refusals('/node/cookie/{case}', since);
        assert.deepEqual(refusals.map(({ word, status }) => [word, status]), [['origin', 403]]);
        untouched(tab.site.backends.node, own);
        assert.deepEqual(tab.site.whoami.about(session), [], 'the application must not be asked');
        // The cookie was good.
        const good = `${path}-own`;
        const cookies = [`session=${session}; Path=${good}; Secure; HttpOnly; SameSite=Strict`];
        await admitted(tab, { backend: 'node', path: good, secrets: [session], cookies });
      });
    }

    it('another site with a good token', limit, async () => {
      const path = '/python/query/evil';
      failed(await tab.attempt({ path, query: { access_token: tab.token() } }, await tab.page('evil.test')));
      untouched(tab.site.backends.python, '/query/evil');
    });

    it('another site\'s name that leads to the gateway', limit, async () => {
      const path = '/go/query/rebound';
      const plan = { path, host: 'evil.test', query: { access_token: tab.token() } };
      for (const host of ['evil.test', 'app.test']) {
        failed(await tab.attempt(plan, await tab.page(host)));
      }
      untouched(tab.site.backends.go, '/query/rebound');
    });
  });
}
