// How a connection ends by itself, and that one does not that only rests.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { closedCleanly } from './expect.mjs';
import { unseen } from './gateway-expect.mjs';
import { limit } from './gateway-tab.mjs';
import { startUsher } from './gateway-usher.mjs';
import { behind, live, toldPage, wasEnded } from './sessions-live.mjs';
import { rest } from './sessions-page.mjs';
import { configuration } from './sessions-routes.mjs';

const expired = { code: 4401, status: 401, word: 'expired', cause: /./ };

export function defineEndings(tab) {
  describe('endings', { concurrency: true }, () => {
    it('expiry', limit, async () => {
      const exp = Math.floor(Date.now() / 1000) + 3;
      const held = await live(tab, '/node/live/expiry', { sub: 'expiry', exp });
      const { at } = await wasEnded(tab, held, expired);
      const late = at - exp * 1000;
      assert.ok(late >= 0 && late <= 1000, `it ended ${late} ms after the credential`);
    });

    it('lifetime', limit, async () => {
      const opened = Date.now();
      const held = await live(tab, '/node/lifetime/one', { sub: 'lifetime' });
      const { at } = await wasEnded(tab, held, expired);
      assert.ok(at - opened >= 2000 && at - opened < 5000, `it ended after ${at - opened} ms`);
    });

    it('idle', limit, async () => {
      const path = '/node/idle/one';
      const token = tab.token({ sub: 'idle' });
      const seen = await tab.attempt({ path, query: { access_token: token }, send: ['hello'] });
      await toldPage(tab, seen.close, { code: 1001, status: 408, word: 'idle', cause: /./ });
      assert.deepEqual(seen.messages, ['hello']);
      const rested = seen.ms - seen.openedAfter;
      assert.ok(rested >= 900 && rested < 4000, `it ended after ${rested} ms`);
      const { backend, own } = behind(tab, path);
      const { messages, code } = await backend.over(own);
      assert.deepEqual({ messages, code }, { messages: ['hello'], code: 1001 });
      unseen(tab, [token]);
    });

    it('drain', limit, async (t) => {
      const gateway = await startUsher(tab.site, configuration(tab.site));
      t.after(() => gateway.stop());
      const own = Object.assign(Object.create(tab), { gateway });
      const held = await live(own, '/node/live/drain', { sub: 'drain' });
      gateway.program.signal('SIGTERM');
      const seen = await held.end();
      assert.equal(seen.code, 1001);
      assert.match(seen.reason, /^draining( [A-Z2-7]{12})?$/);
      closedCleanly(seen);
      assert.equal((await tab.site.backends.node.over('/live/drain')).code, 1001);
      assert.equal(await gateway.program.end, 0, gateway.program.text);
    });

    it('a page that rests is pinged, and lives on', limit, async () => {
      const url = tab.gateway.socket('/node/pinged/page', { query: { access_token: tab.token({ sub: 'pinged' }) } });
      // Who does not answer is gone after two seconds: see below.
      const page = await tab.page();
      const seen = await page.evaluate(rest, { url, ms: 5500 });
      assert.deepEqual(seen, { messages: ['hello', 'still here'], code: 1000, reason: '' });
      const { messages, pings, code } = await tab.site.backends.node.over('/pinged/page');
      assert.deepEqual({ messages, pings, code }, { messages: ['hello', 'still here'], pings: 0, code: 1000 });
    });

    it('a peer that does not answer pings is gone', limit, async () => {
      const url = `wss://app.test:${tab.gateway.port}/node/pinged/deaf?access_token=${tab.token({ sub: 'deaf' })}`;
      const seen = await deaf(url, { ca: readFileSync(tab.site.cert), origin: tab.site.origin() });
      assert.ok(seen.pings >= 1, 'or the one that lives on was not asked');
      assert.match(seen.reason, /^unresponsive [A-Z2-7]{12}$/);
      assert.ok(seen.ms < 4000, `after ${seen.ms} ms`);
      assert.equal((await tab.site.backends.node.over('/pinged/deaf')).pings, 0);
    });
  });
}

/** Connects, and never says a thing; resolves to what came. */
function deaf(url, options) {
  const lookup = (name, { all }, found) => (all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4));
  return new Promise((resolve, reject) => {
    const began = Date.now();
    let pings = 0;
    const socket = new WebSocket(url, ['chat.v1'], { ...options, lookup, autoPong: false });
    socket.on('ping', () => pings++);
    socket.on('error', reject);
    socket.on('close', (code, reason) => resolve({ pings, code, reason: reason.toString(), ms: Date.now() - began }));
  });
}
