// The published Ably SDK in pages of real browsers, with the hub of `usher serve`
// over TLS. The key is the server's alone.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { disturb } from './ably-faults.mjs';
import { hubConfiguration, serveAbly, takeBack } from './ably-site.mjs';
import { concealed } from './expect.mjs';
import { until } from './gateway-program.mjs';
import { engines, limit, Tab } from './gateway-tab.mjs';
import { Network } from './network.mjs';

const formats = { JSON: false, msgpack: true };

// The engines at the same time: they do little but wait.
describe('the Ably SDK', { concurrency: true }, () => {
  for (const engine of engines) define(engine);
});

function define(engine) {
  describe(engine, { timeout: 240_000, concurrency: 1 }, () => {
    const tab = new Tab(engine);
    before(async () => {
      await tab.start({ backends: [], configure: hubConfiguration });
      serveAbly(tab);
    });
    after(() => tab.stop());

    /** A page in front, and what calls the functions of ably-page.mjs in it. */
    const fresh = async ({ host, from = tab.browser } = {}) => {
      const page = await from.newPage();
      await page.goto(`${tab.site.origin(host)}/ably`);
      const call = (what, args) => page.evaluate(async (all) => (await import('/ably-page.js'))[all.what](all.args), { what, args });
      return { page, call };
    };

    /** The SDK's options for who has such tokens. */
    const options = (who, { as, life, wrong, ...more } = {}) => {
      const asked = Object.entries({ as, who, life, wrong }).filter(([, value]) => value !== undefined);
      return {
        endpoint: 'app.test', tlsPort: tab.gateway.port, authUrl: `/auth?${new URLSearchParams(asked)}`, logLevel: 0,
        disableConnectivityCheck: true, ...more,
      };
    };

    for (const [format, useBinaryProtocol] of Object.entries(formats)) {
      it(`talks ${format}`, limit, async () => {
        const { page, call } = await fresh();
        const room = `room:talk:${format}`;
        const [alice, bob] = await Promise.all([
          call('open', { name: 'alice', options: options('alice', { useBinaryProtocol }) }),
          call('open', { name: 'bob', options: options('bob', { as: 'jwt', useBinaryProtocol, echoMessages: false }) }),
        ]);
        assert.deepEqual([alice.clientId, bob.clientId, alice.format, bob.format], ['alice', 'bob', format.toLowerCase(), format.toLowerCase()]);
        const { modes } = await call('attach', { name: 'alice', room });
        assert.deepEqual(modes.filter((mode) => ['publish', 'subscribe', 'presence'].includes(mode)).sort(), ['presence', 'publish', 'subscribe']);
        await call('attach', { name: 'bob', room });
        assert.equal(await call('publishAll', { name: 'alice', room }), 5);
        assert.equal(await call('does', { name: 'bob', room, method: 'publish', args: ['e', 'of bob'] }), 0);
        const all = [['text', 'alice'], ['{"n":1}', 'alice'], ['[0,255]', 'alice'], ['one', 'alice'], ['two', 'alice']];
        assert.deepEqual((await call('heard', { name: 'alice', messages: 6 })).heard, [...all, ['of bob', 'bob']]);
        assert.deepEqual((await call('heard', { name: 'bob', messages: 5 })).heard, all);
        assert.deepEqual(await call('past', { name: 'alice', room, limit: 4 }), [['of bob', 'two', 'one', 'object'], ['object', 'text']]);
        await call('open', { name: 'late', options: options('late', { useBinaryProtocol }) });
        const { params } = await call('attach', { name: 'late', room, options: { params: { rewind: '3' } } });
        assert.deepEqual(params, { rewind: '3' });
        assert.deepEqual((await call('heard', { name: 'late', messages: 3 })).heard.map(([data]) => data), ['one', 'two', 'of bob']);
        assert.equal(await call('does', { name: 'alice', room: 'elsewhere', method: 'attach' }), 40160);
        assert.equal(await call('does', { name: 'alice', room: 'beyond', method: 'publish', args: ['e', 'x'] }), 40160);
        assert.equal(await call('does', { name: 'alice', room, method: 'publish', args: [{ data: 'x', clientId: 'bob' }] }), 40012);
        assert.equal(await call('does', { name: 'alice', room, method: 'detach' }), 0);
        const { changes } = await call('state', 'alice');
        assert.deepEqual(changes.map(({ current }) => current), ['attaching', 'attached', 'detaching', 'detached']);
        await call('close');
        await page.close();
      });

      it(`is seen from another tab, ${format}`, limit, async () => {
        const [one, other] = [await fresh(), await fresh()];
        const room = `room:presence:${format}`;
        await one.call('open', { name: 'ann', options: options('ann', { useBinaryProtocol, transportParams: { remainPresentFor: 300 } }) });
        await one.call('attach', { name: 'ann', room });
        await one.call('does', { name: 'ann', room, of: 'presence', method: 'enter', args: ['one'] });
        await other.call('open', { name: 'ben', options: options('ben', { useBinaryProtocol }) });
        await other.call('attach', { name: 'ben', room });
        assert.deepEqual(await other.call('members', { name: 'ben', room }), ['ann one'], 'who was there before');
        const tell = (method, ...args) => one.call('does', { name: 'ann', room, of: 'presence', method, args });
        assert.deepEqual([await tell('update', 'two'), await tell('leave', 'bye'), await tell('enter', 'three')], [0, 0, 0]);
        await one.page.close(); // Without a word.
        const { present } = await other.call('heard', { name: 'ben', present: 5 });
        assert.deepEqual(present, ['present ann one', 'update ann two', 'leave ann bye', 'enter ann three', 'leave ann three']);
        assert.deepEqual(await other.call('members', { name: 'ben', room }), []);
        await other.call('close');
        await other.page.close();
      });
    }

    it('goes on with fresh tokens: asked for in time, where one has ended, and where it was taken back', limit, async () => {
      const { page, call } = await fresh();
      const first = new Map();
      for (const [name, life] of Object.entries({ timely: 33_000, ended: 2_000, taken: 600_000, warned: 600_000 })) {
        const { id, state } = await call('open', { name, options: options(name, { life, as: name === 'taken' ? 'jwt' : 'request' }) });
        assert.equal(state, 'connected');
        first.set(name, id);
      }
      await new Promise((resolve) => { setTimeout(resolve, 20); }); // Older than the revocation.
      await Promise.all([takeBack(tab, 'taken', false), takeBack(tab, 'warned', true)]);
      for (const [name, codes] of Object.entries({ timely: [], ended: [40142], taken: [40141], warned: [] })) {
        const steps = codes.length > 0 ? { step: 'connecting>connected', count: 2 } : { step: 'connected>connected' };
        const { id, states, state } = await call('stepped', { name, ...steps });
        assert.deepEqual([state, id], ['connected', first.get(name)], name);
        assert.deepEqual(states.filter(({ step }) => step === 'connected>disconnected').map(({ code }) => code), codes, name);
        assert.equal(tab.asked.filter((who) => who === name).length, 2, `${name} asks once more`);
      }
      await call('close');
      await page.close();
    });

    it('is told why a token is refused', limit, async () => {
      const { page, call } = await fresh();
      const cases = [
        { name: 'a token that has ended', as: 'jwt', life: -5_000, state: 'disconnected', code: 40142 },
        { name: 'a wrong signature', as: 'jwt', wrong: 'secret', state: 'disconnected', code: 40144 },
        { name: 'a key that is not', as: 'jwt', wrong: 'key', state: 'failed', code: 40400 },
        { name: 'a request with a wrong mac', wrong: 'secret', state: 'disconnected', code: 80019 },
        { name: 'a server that says no', wrong: 'person', state: 'failed', code: 80019 },
        { name: 'another client', as: 'jwt', clientId: 'another', state: 'failed', code: 40102 },
        { name: 'no token, and no other', authUrl: undefined, token: 'not-a-token', state: 'disconnected', code: 40143 },
      ];
      const seen = await Promise.all(cases.map(async ({ name, state, code, ...more }) => {
        const got = await call('open', { name, options: options('refused', more) });
        const { step, code: why } = got.states.at(1);
        return [name, step, why, state, code];
      }));
      for (const [name, step, why, state, code] of seen) assert.deepEqual([step, why], [`connecting>${state}`, code], name);
      await call('close');
      await page.close();
    });

    it('has its connection back where the page is loaded anew, and all that came meanwhile', limit, async () => {
      const [{ page, call }, other] = [await fresh(), await fresh()];
      const room = 'room:recover';
      const says = (data) => other.call('does', { name: 'sam', room, method: 'publish', args: ['e', data] });
      await other.call('open', { name: 'sam', options: options('sam') });
      const { id } = await call('open', { name: 'rex', options: options('rex'), recover: true });
      await call('attach', { name: 'rex', room });
      await call('does', { name: 'rex', room, of: 'presence', method: 'enter', args: ['here'] });
      await says('before');
      await call('heard', { name: 'rex', messages: 1 });
      await page.goto(`${tab.site.origin()}/page`);
      await says('while');
      await page.goto(`${tab.site.origin()}/ably`);
      const back = await call('open', { name: 'rex', options: options('rex'), recover: true });
      assert.deepEqual([back.state, back.id, back.code], ['connected', id, undefined]);
      await call('attach', { name: 'rex', room });
      await says('after');
      const { heard, changes } = await call('heard', { name: 'rex', messages: 2 });
      assert.deepEqual(heard.map(([data]) => data), ['while', 'after']);
      assert.deepEqual([changes[1].current, changes[1].resumed], ['attached', true]);
      assert.deepEqual(await call('members', { name: 'rex', room }), ['rex here']);
      await call('close');
      await Promise.all([page.close(), other.page.close()]);
    });

    it('is for pages of the listed origins, also where a cookie opens it, or a ticket for it', limit, async () => {
      const from = await tab.browser.createBrowserContext();
      const { page, call } = await fresh({ from });
      const cookie = tab.noted(tab.site.whoami.login({ sub: 'coco', capability: { 'room:*': ['*'] } }));
      await tab.setCookies([`session=${cookie}; Path=/; Secure; HttpOnly; SameSite=None`], page);
      await page.goto(`${tab.site.origin()}/ably`);
      const { action, connectionDetails } = await call('bare', tab.gateway.socket('/'));
      assert.deepEqual([action, connectionDetails.clientId], [4, 'coco']);
      const network = await Network.open(tab.gateway.port);
      const desk = `${tab.gateway.origin()}/usher/v1/tickets?route=/`;
      const { id, clientId } = await call('open', { name: 'coco', options: options('coco', { tlsPort: network.port }), desk });
      assert.equal(clientId, 'coco');
      network.cut();
      const back = await call('stepped', { name: 'coco', step: 'connecting>connected', count: 2 });
      assert.deepEqual([back.state, back.id], ['connected', id], 'a ticket is good once, and there is another');
      assert.equal(await call('does', { name: 'coco', room: 'room:x', method: 'publish', args: ['e', 'x'] }), 0);
      network.close();
      const foreign = await fresh({ host: 'evil.test', from });
      const since = Date.now();
      assert.equal(await foreign.call('bare', tab.gateway.socket('/')), null, 'nothing is said to a foreign page');
      const { states } = await foreign.call('open', { name: 'eve', options: options('eve', { as: 'jwt' }) });
      assert.deepEqual(states.map(({ step, code }) => [step, code]).at(1), ['connecting>disconnected', 80003]);
      assert.notEqual(await foreign.call('does', { name: 'eve', room: 'room:x', method: 'history' }), 0);
      const refusals = await tab.gateway.refusals('/', since);
      assert.ok(refusals.length > 1 && refusals.every(({ status }) => status === 403), JSON.stringify(refusals));
      await from.close();
    });

    it('a ticket opens it once', limit, async () => {
      const { page, call } = await fresh();
      const ticket = await tab.ticket('/', { claims: { sub: 'tina', capability: { 'room:*': ['*'] } }, page });
      const [first, second] = [await call('bare', tab.gateway.socket('/', { query: { ticket } })), await call('bare', tab.gateway.socket('/', { query: { ticket } }))];
      assert.deepEqual([first.action, first.connectionDetails.clientId, second.action, second.error.code], [4, 'tina', 9, 40101]);
      await page.close();
    });

    it('loses nothing on networks that are cut, stalled and half closed', { timeout: 90_000 }, async () => {
      const { page, call } = await fresh();
      await Promise.all(Object.entries(formats).map(([format, useBinaryProtocol]) => disturb({
        call, to: tab.gateway.port, room: `room:faults:${format}`, prefix: `${format}-`,
        options: (who, tlsPort) => options(who, { tlsPort, useBinaryProtocol }),
        connections: (subject) => tab.gateway.connections({ subject }),
      })));
      await page.close();
    });

    it('leaves nobody behind, and tells nobody a secret', async () => {
      await until(async () => (await tab.gateway.connections({})).length === 0, 'the end of all connections');
      concealed([tab.gateway.program.text], [...tab.site.secrets]);
    });
  });
}
