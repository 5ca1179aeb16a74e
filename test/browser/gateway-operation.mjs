// What an operator does while pages are connected, and what happens to him:
// each test has a gateway of its own, in front of the same backends.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { concealed } from './expect.mjs';
import { echoes } from './gateway-backends.mjs';
import { admitted, explained, refused, untouched } from './gateway-expect.mjs';
import { ending, hold, replies, socketio } from './gateway-page.mjs';
import { until } from './gateway-program.mjs';
import { limit } from './gateway-tab.mjs';
import { configuration, startUsher, upstream } from './gateway-usher.mjs';
import { token } from './tokens.mjs';

/** A port at which nobody listens. */
async function deadPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** The tab with another gateway, which ends with the test and has logged no secret. */
async function withGateway(tab, t, config) {
  const gateway = await startUsher(tab.site, config);
  t.after(async () => {
    await gateway.stop();
    concealed(gateway.program.text, [...tab.site.secrets]);
  });
  return Object.assign(Object.create(tab), { gateway });
}

/** The page has a WebSocket at `path`, which does not rest. */
async function holding(tab, page, path, name) {
  await page.evaluate(hold, { name, url: tab.gateway.socket(path, { query: { access_token: tab.token() } }) });
  await page.evaluate(replies, { name, more: 3 });
}

/** The replies are what was said, in order, and none is missing. */
function inOrder(all) {
  assert.ok(all.length > 0);
  assert.deepEqual(all, all.map((_, i) => String(i)));
}

export function defineOperation(tab) {
  describe('operation', () => {
    it('an upstream is down', limit, async (t) => {
      const dead = `ws://127.0.0.1:${await deadPort()}/down`;
      const { node } = tab.site.backends;
      const own = await withGateway(tab, t, configuration(tab.site, [
        { path: '/down/query/{case}', upstream: dead },
        { path: '/down/message/{case}', upstream: dead, way: 'message' },
        { path: '/node/half/{case}', upstream: [dead, upstream(node, '/half')] },
      ]));
      const why = { code: 4503, status: 503, word: 'unavailable', cause: /connect to upstream/ };
      const query = { query: { access_token: own.token() } };
      const message = { send: [JSON.stringify({ type: 'auth', token: own.token() })] };
      // A first message was admitted before the upstream was asked.
      for (const [carrier, path, plan, verdict] of [
        ['query', '/down/query/one', query, 'refused'], ['first_message', '/down/message/one', message, 'ended'],
      ]) {
        const seen = await own.attempt({ path, ...plan });
        assert.equal(seen.close.code, 4503, JSON.stringify(seen));
        await explained(own, seen.close.reason, { verdict, carrier, why });
      }
      // Where another is up, the page notices nothing.
      await admitted(own, { backend: 'node', path: '/node/half/one', secrets: [query.query.access_token], ...query });
    });

    it('reload: a live connection goes on, and a route leads elsewhere', limit, async (t) => {
      const { node, python } = tab.site.backends;
      const moved = (backend) => configuration(tab.site, [{ path: '/moved/{case}', upstream: upstream(backend, '/moved') }]);
      const own = await withGateway(tab, t, moved(node));
      const page = await tab.open();
      t.after(() => page.close());
      await holding(own, page, '/moved/held', 'held');

      own.gateway.configure(`${JSON.stringify(moved(python)).slice(0, -1)}, "routs": []}`);
      const { error } = await own.gateway.reload('the last one stays in force');
      assert.match(error, /usher\.yaml:1:\d+: routs: unknown key/);
      await comesTo(own, node, '/moved/bad');
      await page.evaluate(replies, { name: 'held', more: 3 });

      const before = own.token();
      writeFileSync(join(own.gateway.dir, 'secret'), `${tab.site.secret}, the second`);
      own.gateway.configure(moved(python));
      await own.gateway.reload('configuration loaded');
      const why = { code: 4401, status: 401, word: 'unauthenticated', cause: /wrong signature$/ };
      const old = { path: '/moved/old', query: { access_token: before } };
      await refused(own, { backend: 'python', carrier: 'query', why, secrets: [before], ...old });
      const secret = `${tab.site.secret}, the second`;
      await comesTo(own, python, '/moved/after', tab.noted(token({ secret })));
      untouched(node, '/moved/after');

      inOrder(await page.evaluate(replies, { name: 'held', more: 3 }));
      assert.deepEqual(node.sockets('/moved/held').map(({ code }) => code), [undefined], 'it is still the same');
      const { code, reason, clean } = await page.evaluate(ending, { name: 'held', close: true });
      assert.deepEqual({ code, reason, clean }, { code: 1000, reason: '', clean: true });
      assert.equal((await node.over('/moved/held')).code, 1000);
    });

    it('drain: all are told, on both sides, and the process ends well', limit, async (t) => {
      const own = await withGateway(tab, t, configuration(tab.site));
      const page = await tab.open({ io: true });
      t.after(() => page.close());
      for (const backend of echoes) await holding(own, page, `/${backend}/query/drained`, backend);
      const ticket = await own.ticket('/socket.io/');
      const plan = { url: own.gateway.origin(), path: '/socket.io/drained/', query: { ticket }, say: ['hello'], stay: true };
      const fourth = page.evaluate(socketio, plan);
      await until(() => page.evaluate(() => window.ready), 'the connection of Socket.IO');

      const began = Date.now();
      own.gateway.program.signal('SIGTERM');
      const ends = await Promise.all(echoes.map((name) => page.evaluate(ending, { name })));
      for (const end of [...ends, await fourth]) {
        assert.equal(end.code, 1001, JSON.stringify(end));
        assert.match(end.reason, /^draining( [A-Z2-7]{12})?$/);
      }
      for (const name of echoes) {
        inOrder(await page.evaluate(replies, { name }));
        assert.equal((await tab.site.backends[name].over('/query/drained')).code, 1001, name);
      }
      assert.equal((await tab.site.backends.socketio.over('/socket.io/drained/')).code, 1001);
      assert.equal(await own.gateway.program.end, 0, own.gateway.program.text);
      assert.ok(Date.now() - began < 5000, `it took ${Date.now() - began} ms`);
      const late = await own.attempt({ path: '/node/query/late', query: { access_token: own.token() } });
      assert.equal(late.opened, false);
      untouched(tab.site.backends.node, '/query/late');
    });
  });

  async function comesTo(own, backend, path, secret = own.token()) {
    const seen = await own.attempt({ path, query: { access_token: secret }, send: ['hello'], replies: 1 });
    assert.deepEqual(seen.messages, ['hello'], JSON.stringify(seen));
    assert.deepEqual((await backend.over(path)).messages, ['hello']);
  }
}
