// The client in pages of real browsers, in front of the gateway over TLS.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { close, connect, echo, events, inWorker } from './client-page.mjs';
import { clientConfiguration, serveClient, servePlainPage, serveReact } from './client-site.mjs';
import { concealed } from './expect.mjs';
import { until } from './gateway-program.mjs';
import { engines, limit, Tab } from './gateway-tab.mjs';

// The engines at the same time: they do little but wait.
describe('the client', { concurrency: true }, () => {
  for (const engine of engines) define(engine);
});

function define(engine) {
  describe(engine, { timeout: 240_000, concurrency: 1 }, () => {
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

    it('gets in with the page\'s cookie: at the desk, in the handshake, and beside a CSRF token', limit, async () => {
      const page = await fresh();
      const cookie = tab.noted(tab.site.whoami.login({ sub: 'coco', sid: 'coco-1' }));
      await tab.setCookies(['session', 'guarded'].map((name) => `${name}=${cookie}; Path=/; Secure; HttpOnly; SameSite=Strict`), page);
      for (const [path, options] of [['/desk/cookie', {}], ['/cookie/own', { carrier: 'cookie' }]]) {
        await page.evaluate(connect, { name: path, url: url(path), options, token: null });
        await page.evaluate(events, { name: path, type: 'open' });
        assert.equal(await page.evaluate(echo, { name: path, text: 'hello' }), 'hello');
        assert.deepEqual((await page.evaluate(close, path)).trouble, []);
      }
      const seen = await page.evaluate(async ({ to, csrf }) => {
        const { connect: open } = await import('/client.js');
        const getToken = async (why, signal) => (await (await fetch(csrf, { credentials: 'include', signal })).json()).csrf_token;
        const socket = open(to, { carrier: 'cookie', getToken });
        return new Promise((resolve) => {
          socket.onopen = () => socket.send('proven');
          socket.onmessage = ({ data }) => socket.close(1000, data);
          socket.onclose = ({ reason, error }) => resolve(error ? String(error) : reason);
        });
      }, { to: url('/csrf/proof'), csrf: `${tab.gateway.origin()}/usher/v1/csrf?route=/node/csrf/%7Bcase%7D` });
      assert.equal(seen, 'proven');
      await page.close();
    });

    it('is renewed with the page\'s cookie', limit, async () => {
      const page = await fresh();
      const soon = () => Math.floor(Date.now() / 1000) + 4;
      const cookie = tab.noted(tab.site.whoami.login({ sub: 'cleo', sid: 'cleo-1', fresh: 0, exp: soon() }));
      await tab.setCookies([`session=${cookie}; Path=/; Secure; HttpOnly; SameSite=Strict`], page);
      await page.evaluate(connect, { name: 'cleo', url: url('/desk/cleo'), token: null });
      await page.evaluate(events, { name: 'cleo', type: 'open' });
      tab.site.whoami.sessions.get(cookie).claims.exp = soon() + 60;
      await page.evaluate(events, { name: 'cleo', type: 'renew' });
      assert.equal(sockets('/desk/cleo').length, 1);
      await page.evaluate(close, 'cleo');
      await page.close();
    });

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

    it('who is logged out everywhere, and has no login to come back with, is told so', limit, async () => {
      const page = await fresh();
      await page.evaluate(connect, { name: 'otto', url: url('/ticket/otto'), token: { who: 'otto' } });
      await page.evaluate(events, { name: 'otto', type: 'open' });
      tab.out.add('otto');
      await tab.gateway.revoke({ subject: 'otto' });
      const seen = await page.evaluate(events, { name: 'otto', type: 'close' });
      assert.deepEqual([seen[0].type, seen[1].type, seen[1].word], ['open', 'down', 'revoked']);
      assert.match(await tab.gateway.explain(seen[1].id), /revoked/);
      const { whys, state, trouble } = await page.evaluate(close, 'otto');
      assert.deepEqual([whys, state, trouble], [['connect', 'refused', 'refused'], 3, []]);
      await page.close();
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

    it('is over when the page is left, where it is not to come back by itself', limit, async () => {
      const page = await fresh();
      await page.evaluate(connect, { name: 'once', url: url('/ticket/once'), options: { reconnect: false } });
      await page.evaluate(events, { name: 'once', type: 'open' });
      const seen = await page.evaluate(() => {
        window.dispatchEvent(new Event('pagehide'));
        window.dispatchEvent(new Event('pageshow'));
        return window.clients.once.events.map(({ type, word = '' }) => [type, word]);
      });
      assert.deepEqual(seen, [['open', ''], ['error', 'out of sight'], ['close', 'out of sight']]);
      await page.close();
    });

    it('connects anew after the machine has slept', limit, async () => {
      const page = await fresh();
      await page.evaluate(connect, { name: 'slept', url: url('/ticket/slept') });
      await page.evaluate(events, { name: 'slept', type: 'open' });
      const wake = (hours) => {
        const { now } = Date;
        Date.now = () => now() + hours * 3_600_000;
        window.dispatchEvent(new Event('visibilitychange'));
        return window.clients.slept.events.length;
      };
      assert.equal(await page.evaluate(wake, 0), 1);
      await page.evaluate(wake, 1);
      await page.evaluate(events, { name: 'slept', type: 'open', count: 2 });
      assert.equal(await page.evaluate(echo, { name: 'slept', text: 'awake' }), 'awake');
      assert.equal(await page.evaluate(wake, -1), 3, 'a clock that is set back is no sleep');
      const { whys } = await page.evaluate(close, 'slept');
      assert.deepEqual(whys, ['connect', 'reconnect']);
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

    it('works in the page of the example', limit, async () => {
      servePlainPage(tab, url('/ticket/plain'));
      const page = await fresh('/plain');
      const shows = (selector, text) => until(() => page.evaluate((at) => document.querySelector(at)?.textContent, selector).then((is) => is === text), `${selector} ${text}`);
      await shows('#status', 'open');
      await page.evaluate(() => {
        document.forms[0].text.value = 'hello';
        document.forms[0].requestSubmit();
      });
      await shows('li', 'hello');
      await page.close();
    });

    it('is a hook in React', limit, async () => {
      await serveReact(tab);
      const page = await fresh('/react');
      await until(() => page.evaluate(() => window.ready), 'React');
      const show = (props) => page.evaluate((all) => window.show(all), props);
      const status = (text) => until(() => page.evaluate(() => document.getElementById('status')?.textContent.trim()).then((is) => is === text), text);
      const heard = (text) => until(() => page.evaluate(() => window.heard.at(-1)).then((is) => is === text), text);
      await show({ url: url('/ticket/react-one'), label: 'first' });
      await status('open');
      // Strict mode mounts twice: of the first nothing comes.
      assert.equal(sockets('/ticket/react-one').length, 1);
      await show({ url: url('/ticket/react-one'), label: 'second' });
      await page.evaluate(() => window.say('hello'));
      await heard('second: hello');
      assert.equal(sockets('/ticket/react-one').length, 1);
      await show({ url: url('/ticket/react-two'), label: 'third' });
      await until(() => sockets('/ticket/react-one')[0].code !== undefined && sockets('/ticket/react-two').length === 1, 'the other connection');
      await status('open');
      await page.evaluate(() => window.say('there'));
      await heard('third: there');
      await tab.gateway.revoke({ subject: 'rita' });
      await status('down revoked');
      await status('open');
      await show({ url: null, label: 'none' });
      await status('connecting');
      await show({ url: url('/ticket/react-three'), label: 'last' });
      await status('open');
      await show(null);
      await until(() => sockets('/ticket/react-three').every(({ code }) => code !== undefined), 'the end');
      await page.close();
    });

    it('a token is nowhere in the page, and no other origin hears of it', limit, async () => {
      const page = await fresh();
      const said = [];
      page.on('console', (message) => said.push(message.text()));
      const others = await Promise.all(['evil.test', 'api.app.test'].map((host) => tab.open({ host })));
      for (const other of others) {
        await other.evaluate(() => {
          window.overheard = [];
          window.channel = new BroadcastChannel('usher:nina');
          window.channel.onmessage = ({ data }) => window.overheard.push(data);
          window.channel.postMessage('ask');
        });
      }
      await page.bringToFront();
      const share = { share: 'nina' };
      await page.evaluate(connect, { name: 'good', url: url('/ticket/nowhere'), options: share, token: { who: 'nina', life: 60 } });
      await page.evaluate(events, { name: 'good', type: 'open' });
      for (const other of others) await other.evaluate(() => window.channel.postMessage('ask'));
      // Refused, without a server, and by what the platform itself does not take.
      await page.evaluate(connect, { name: 'bad', url: url('/ticket/nowhere'), token: { ttl: -5 } });
      await page.evaluate(events, { name: 'bad', type: 'close' });
      await page.evaluate(connect, { name: 'gone', url: 'wss://app.test:1/x', options: { desk: `${tab.gateway.origin()}/usher/v1/tickets`, route: '/node/ticket/x', reconnect: false } });
      await page.evaluate(events, { name: 'gone', type: 'close' });
      await page.evaluate(connect, { name: 'odd', url: url('/subprotocol/odd'), options: { carrier: 'subprotocol', protocols: ['chat.v1', 'not a name'] } });
      const [{ word }] = await page.evaluate(events, { name: 'odd', type: 'close' });
      assert.equal(word, 'WebSocket: SyntaxError');
      const left = await page.evaluate(async () => {
        const clients = Object.values(window.clients).map(({ socket, events: all, trouble }) => [socket.url, all, trouble, Object.keys(socket), JSON.stringify(socket)]);
        const databases = indexedDB.databases ? await indexedDB.databases() : [];
        return JSON.stringify([location.href, document.cookie, { ...localStorage }, { ...sessionStorage }, databases, performance.getEntries(), clients, window.name, history.state]);
      });
      assert.ok(said.length > 0 || engine === 'firefox', 'a failure is told in the console');
      const tokens = [...tab.site.secrets].filter((secret) => secret.split('.').length === 3);
      concealed([left, said], tokens);
      for (const other of others) {
        assert.deepEqual(await other.evaluate(() => window.overheard), []);
        await other.close();
      }
      await page.evaluate(close, 'good');
      await page.close();
    });

    it('nobody was told a secret', () => {
      const { gateway, site } = tab;
      const told = [gateway.program.text];
      for (const { tap, program } of Object.values(site.backends)) told.push(program.text, tap.requests().map(({ head }) => head).join('\n'));
      concealed(told, [...site.secrets]);
    });
  });
}
