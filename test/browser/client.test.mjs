// The client in pages of real browsers, in front of the gateway over TLS.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { close, connect, echo, events, inWorker } from './client-page.mjs';
import { clientConfiguration, serveClient } from './client-site.mjs';
import { concealed } from './expect.mjs';
import { until } from './gateway-program.mjs';
import { engines, limit, Tab } from './gateway-tab.mjs';

for (const engine of engines) {
  describe(`the client, ${engine}`, { timeout: 180_000 }, () => {
    const tab = new Tab(engine);
    before(async () => {
      await tab.start({ backends: ['node'], configure: clientConfiguration });
      serveClient(tab);
    });
    after(() => tab.stop());

    const sockets = (path) => tab.site.backends.node.sockets(path);
    const url = (path) => tab.gateway.socket(`/node${path}`);

    /** A page that is in front, as tests of timers want it. */
    const fresh = async (path = '/page') => {
      const page = await tab.browser.newPage();
      await page.goto(`${tab.site.origin()}${path}`);
      return page;
    };

    const ways = { ticket: {}, beside: { protocols: ['chat.v1'] }, query: { carrier: 'query' }, message: { carrier: 'first_message' }, subprotocol: { carrier: 'subprotocol', protocols: 'chat.v1' } };
    for (const [way, options] of Object.entries(ways)) {
      it(`gets in: ${way}`, limit, async () => {
        const page = await tab.page();
        const path = `/${way === 'beside' ? 'ticket' : way}/in-${way}`;
        await page.evaluate(connect, { name: way, url: url(path), options });
        await page.evaluate(events, { name: way, type: 'open' });
        assert.equal(await page.evaluate(echo, { name: way, text: 'hello' }), 'hello');
        const { state, messages, trouble } = await page.evaluate(close, way);
        assert.deepEqual({ state, messages, trouble }, { state: 3, messages: ['hello'], trouble: [] });
        const one = await tab.site.backends.node.over(path);
        assert.deepEqual([one.messages, one.code, one.reason], [['hello'], 1000, 'done']);
      });
    }

    it('is renewed without a new connection', limit, async () => {
      const page = await fresh();
      const path = '/ticket/renewed';
      await page.evaluate(connect, { name: 'renewed', url: url(path), token: { ttl: 4, who: 'rena' } });
      await page.evaluate(events, { name: 'renewed', type: 'renew', count: 2 });
      const { whys, trouble } = await page.evaluate(close, 'renewed');
      assert.deepEqual([whys, trouble], [['connect', 'renew', 'renew'], []]);
      assert.equal(sockets(path).length, 1);
      await page.close();
    });

    it('comes back where it was not renewed, and says why it ended', limit, async () => {
      const page = await fresh();
      await page.evaluate(connect, { name: 'ended', url: url('/ticket/ended'), options: { renewal: false }, token: { ttl: 2, who: 'erin' } });
      const seen = await page.evaluate(events, { name: 'ended', type: 'open', count: 2 });
      const [, down] = seen;
      assert.deepEqual([down.type, down.code, down.word], ['down', 4401, 'expired']);
      assert.match(await tab.gateway.explain(down.id), /expired/);
      const { whys } = await page.evaluate(close, 'ended');
      assert.deepEqual(whys, ['connect', 'refused']);
      await page.close();
    });

    it('stops where each credential is refused', limit, async () => {
      const page = await tab.page();
      for (const way of ['query', 'message', 'subprotocol', 'ticket']) {
        await page.evaluate(connect, { name: `no-${way}`, url: url(`/${way}/no`), options: ways[way], token: { ttl: -5 } });
        const seen = await page.evaluate(events, { name: `no-${way}`, type: 'close' });
        const { whys, trouble } = await page.evaluate(close, `no-${way}`);
        assert.deepEqual([whys, trouble], [['connect', 'refused', 'refused'], []], way);
        assert.match(seen.at(-1).id, /^[A-Z2-7]{12}$/);
        assert.equal(sockets(`/${way}/no`).length, 0);
      }
    });

    it('ten tabs ask for one token, and for one more to renew', { timeout: 60_000 }, async () => {
      const pages = await Promise.all(Array.from({ length: 10 }, () => fresh()));
      const of = () => tab.asked.filter(({ who }) => who === 'tabea').map(({ why }) => why);
      const options = { share: 'tabea' };
      const token = { who: 'tabea', ttl: 12, life: 12 };
      await Promise.all(pages.map((page) => page.evaluate(connect, { name: 'shared', url: url('/ticket/shared'), options, token })));
      await Promise.all(pages.map((page) => page.evaluate(events, { name: 'shared', type: 'open' })));
      assert.deepEqual(of(), ['connect']);
      await Promise.all(pages.map((page) => page.evaluate(events, { name: 'shared', type: 'renew', within: 20_000 })));
      assert.deepEqual(of(), ['connect', 'renew']);
      assert.equal(sockets('/ticket/shared').length, 10);
      await Promise.all(pages.map((page) => page.evaluate(close, 'shared')));
      await Promise.all(pages.map((page) => page.close()));
    });

    it('lets go when the page is left, and comes back with it', limit, async () => {
      const page = await fresh();
      const path = '/ticket/left';
      await page.evaluate(connect, { name: 'left', url: url(path) });
      await page.evaluate(events, { name: 'left', type: 'open' });
      await page.evaluate(() => { window.addEventListener('pageshow', ({ persisted }) => { window.kept = persisted; }); });
      await page.goto(`${tab.site.origin()}/page?away`);
      await until(() => sockets(path)[0]?.code !== undefined, 'the server to hear of it');
      assert.ok([1000, 1001].includes(sockets(path)[0].code), String(sockets(path)[0].code));
      await page.goBack();
      if (await page.evaluate(() => window.kept)) {
        await page.evaluate(events, { name: 'left', type: 'open', count: 2 });
        assert.equal(await page.evaluate(echo, { name: 'left', text: 'back' }), 'back');
        const { trouble } = await page.evaluate(close, 'left');
        assert.deepEqual(trouble, []);
      } else assert.equal(engine, 'firefox', 'Chromium keeps such a page');
      await page.close();
    });

    it('does not wait for the end of its pause once the network is back', limit, async () => {
      const page = await fresh();
      await page.evaluate(connect, { name: 'off', url: 'wss://app.test:1/ticket/x', options: { backoff: { min: 60_000, max: 60_000 }, carrier: 'query', timeout: 3_000 } });
      await page.evaluate(events, { name: 'off', type: 'down' });
      await page.evaluate(() => window.dispatchEvent(new Event('online')));
      await page.evaluate(events, { name: 'off', type: 'down', count: 2 });
      await page.evaluate(close, 'off');
      await page.close();
    });

    it('a policy of the page that forbids it is no endless wait', limit, async () => {
      const page = await fresh('/csp');
      for (const way of ['ticket', 'query']) {
        await page.evaluate(connect, { name: way, url: url(`/${way}/csp`), options: { ...ways[way], timeout: 5_000 } });
        await until(() => page.evaluate((name) => window.clients[name].events.length > 0, way), 'an end');
        const { trouble } = await page.evaluate(close, way);
        assert.deepEqual(trouble, []);
        assert.equal(sockets(`/${way}/csp`).length, 0);
      }
      await page.close();
    });

    it('works in a worker', limit, async () => {
      const page = await tab.page();
      assert.deepEqual(await page.evaluate(inWorker, { url: url('/ticket/worker') }), ['from a worker', 'closed 1005']);
    });

    it('nobody was told a secret', () => {
      const { gateway, site } = tab;
      const told = [gateway.program.text];
      for (const { tap, program } of Object.values(site.backends)) told.push(program.text, tap.requests().map(({ head }) => head).join('\n'));
      concealed(told, [...site.secrets]);
    });
  });
}
