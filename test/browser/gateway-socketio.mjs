// Socket.IO behind the gateway, with its own client in the page: neither of the
// two knows of it, and the client only has a ticket in its query.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explained, toldOnce, unseen, untouched } from './gateway-expect.mjs';
import { socketio, socketioAgain } from './gateway-page.mjs';
import { until } from './gateway-program.mjs';
import { limit } from './gateway-tab.mjs';
import { upstream } from './gateway-usher.mjs';

export function defineSocketIO(tab) {
  describe('Socket.IO', () => {
    const connect = async (t, plan, from) => {
      const page = await tab.open({ io: true, from });
      if (!from) t.after(() => page.close());
      return { page, seen: page.evaluate(socketio, { url: tab.gateway.origin(), ...plan }) };
    };

    /** The client came in, and the server was told who it is, and no secret. */
    async function cameIn(path, { secrets, messages, code }) {
      const { tap } = tab.site.backends.socketio;
      const socket = await tab.site.backends.socketio.over(path);
      assert.deepEqual(socket.messages, messages);
      if (code) assert.equal(socket.code, code);
      const [request, ...more] = tap.at(path);
      assert.equal(more.length, 0);
      await toldOnce(tab, request, { audience: upstream(tab.site.backends.socketio, '/socket.io/'), subject: 'ann' });
      assert.match(request.target, /\?EIO=4&transport=websocket$/, 'without the ticket');
      unseen(tab, secrets);
    }

    it('admitted by a ticket', limit, async (t) => {
      const path = '/socket.io/ticket/';
      const ticket = await tab.ticket('/socket.io/');
      const { seen } = await connect(t, { path, query: { ticket }, say: ['hello', 'again'] });
      const { connected, replies, disconnect } = await seen;
      assert.deepEqual({ connected, replies, disconnect }, {
        connected: true, replies: ['hello', 'again'], disconnect: 'io client disconnect',
      });
      await cameIn(path, { secrets: [ticket], messages: ['hello', 'again'] });
    });

    it('admitted by a cookie', limit, async (t) => {
      const path = '/socket.io/cookie/';
      const session = tab.noted(tab.site.whoami.login());
      const context = await tab.browser.createBrowserContext();
      t.after(() => context.close());
      const setter = await tab.open({ from: context });
      await tab.setCookies([`session=${session}; Path=${path}; Secure; HttpOnly; SameSite=Strict`], setter);
      const { seen } = await connect(t, { path, say: ['hello'] }, context);
      const { connected, replies } = await seen;
      assert.deepEqual({ connected, replies }, { connected: true, replies: ['hello'] });
      await cameIn(path, { secrets: [session], messages: ['hello'] });
    });

    for (const [reason, query, carrier, cause] of [
      ['none', {}, 'none: .*', /no credential$/], ['wrong', { ticket: 'not-a-ticket' }, 'ticket', /not a ticket$/],
    ]) {
      it(`refused: ${reason}`, limit, async (t) => {
        const path = `/socket.io/${reason}/`;
        const { seen } = await connect(t, { path, query });
        const { connected, code, reason: text } = await seen;
        assert.deepEqual({ connected, code }, { connected: false, code: 4401 });
        const why = { code: 4401, status: 401, word: 'unauthenticated', cause };
        await explained(tab, text, { verdict: 'refused', carrier, why });
        untouched(tab.site.backends.socketio, path);
      });
    }

    it('ends with its token, and comes back with a fresh ticket', limit, async (t) => {
      const path = '/socket.io/expiry/';
      const exp = Math.floor(Date.now() / 1000) + 6; // Firefox takes its time to load its client.
      const ticket = await tab.ticket('/socket.io/', { claims: { exp } });
      const { page, seen } = await connect(t, { path, query: { ticket }, say: ['hello'], stay: true });
      const { connected, replies, code, reason, disconnect, at } = await seen;
      assert.deepEqual({ connected, replies, code, disconnect }, {
        connected: true, replies: ['hello'], code: 4401, disconnect: 'transport close',
      });
      assert.ok(at >= exp * 1000 && at <= exp * 1000 + 1000, `it ended ${at - exp * 1000} ms after its token`);
      const why = { code: 4401, status: 401, word: 'expired', cause: /expired$/ };
      await explained(tab, reason, { verdict: 'ended', carrier: 'ticket', why });
      await cameIn(path, { secrets: [ticket], messages: ['hello'], code: 1001 });
      const fresh = await tab.ticket('/socket.io/');
      assert.equal(await page.evaluate(socketioAgain, { query: { ticket: fresh }, text: 'back' }), 'back');
      await until(() => tab.site.backends.socketio.sockets(path).length === 2, 'the second connection');
      unseen(tab, [ticket, fresh]);
    });
  });
}
