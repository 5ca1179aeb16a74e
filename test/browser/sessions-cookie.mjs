// A cookie, which goes along with whatever asks: it renews nothing but where the
// application's own page asks, in a way that no form can.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { limit } from './gateway-tab.mjs';
import { expires, live, renew } from './sessions-live.mjs';

const form = { 'Content-Type': 'application/x-www-form-urlencoded' };
const proof = { 'X-Requested-With': 'fetch' };

export function defineCookie(tab) {
  it('the application\'s own cookie renews, and no form of another site does', limit, async (t) => {
    const { whoami } = tab.site;
    const { page, close } = await tab.stranger();
    t.after(close);
    const cookie = tab.noted(whoami.login({ sub: 'cora', sid: 'cora-1', fresh: 60 }));
    await tab.setCookies([`app=${cookie}; Path=/; Secure; HttpOnly; SameSite=None`], page);
    const held = await live(tab, '/node/app/desk', null, { page, cookie });
    const before = await expires(tab, 'cora-1');
    whoami.sessions.get(cookie).fresh = 120;

    const evil = await tab.open({ host: 'evil.test', from: page.browserContext() });
    const asked = whoami.about(cookie).length;
    const { program } = tab.gateway;
    const since = program.events.length;
    await renew(tab, {}, { from: evil, credentials: 'include', mode: 'no-cors' });
    const refused = `origin: origin not allowed: ${tab.site.origin('evil.test')} `;
    await program.event(({ reason = '' }) => reason.startsWith(refused), 'the refusal', since);
    assert.equal(whoami.about(cookie).length, asked, 'the application must not be asked');
    await page.bringToFront();

    const statuses = [];
    for (const [headers, credentials] of [[{}, 'include'], [form, 'include'], [proof, 'omit']]) {
      statuses.push((await renew(tab, headers, { from: page, credentials })).status);
      assert.equal(await expires(tab, 'cora-1'), before);
    }
    assert.deepEqual(statuses, [403, 403, 401]);
    const { status, session, connections } = await renew(tab, proof, { from: page, credentials: 'include' });
    assert.deepEqual({ status, session, connections }, { status: 200, session: 'cora-1', connections: 1 });
    assert.ok(await expires(tab, 'cora-1') > before + 55);
    await held.unharmed();
  });
}
