// A page that renews its session all the time, and the messages that go both
// ways meanwhile.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { concealed } from './expect.mjs';
import { toldPage } from './sessions-live.mjs';
import { exchange } from './sessions-page.mjs';

const count = 100_000; // Messages each way.
const renewals = 100;

/** How long a credential lives, in seconds: the first and the last will be seen to end, or not to. */
const life = (i) => ({ 0: 3, [renewals]: 4 })[i] ?? 10;

export function defineExchange(tab) {
  it('100,000 messages each way, and 100 renewals', { timeout: 60_000 }, async (t) => {
    const claims = { sub: 'busy', sid: 'busy-1' };
    tab.site.pages.answers.set('/login', ({ by, i }) => {
      const exp = Math.floor(Date.now() / 1000) + life(Number(i));
      const token = tab.token({ ...claims, exp });
      if (by === 'bearer') return { json: { token, exp } };
      return { json: { exp }, cookies: [`session=${token}; Path=/; Secure; HttpOnly; SameSite=Strict`] };
    });
    const { page, close } = await tab.stranger();
    t.after(close);
    const seen = await page.evaluate(exchange, {
      url: tab.gateway.socket('/counter/live/busy', { query: { count } }),
      login: `${tab.site.origin()}/login`,
      renew: `${tab.gateway.origin()}/usher/v1/sessions/renew`,
      count, renewals,
    });

    const { received, sent, wrong } = seen;
    assert.deepEqual({ received, sent, wrong }, { received: count, sent: count, wrong: null }, JSON.stringify(seen.close));
    const socket = await tab.site.backends.counter.over('/live/busy');
    assert.deepEqual(socket.seen, { received: count, sent: count, wrong: null, pings: 0 });
    assert.equal(socket.code, 1001);
    assert.ok(!socket.headers.some((text) => /^(cookie|authorization)$/i.test(text)), JSON.stringify(socket.headers));
    concealed(socket, [...tab.site.secrets]);

    assert.equal(seen.renewals.length, renewals);
    for (const [i, { status, answer }] of seen.renewals.entries()) {
      assert.equal(status, 200, JSON.stringify(answer));
      const { session, connections, expires_in: left } = answer;
      assert.deepEqual({ session, connections }, { session: claims.sid, connections: 1 });
      assert.ok(left <= life(i + 1) && left > life(i + 1) - 5, `it ends in ${left} s`);
    }
    const during = (way) => seen.renewals.reduce((sum, one) => sum + one[way], 0);
    assert.ok(during('sent') > renewals && during('received') > renewals, 'messages went both ways while it was renewed');

    assert.ok(seen.last > seen.first.exp * 1000 + 1000, 'it outlived what opened it');
    await toldPage(tab, seen.close, { code: 4401, status: 401, word: 'expired', cause: /./, carrier: 'cookie' });
    const late = seen.close.at - seen.renewals.at(-1).exp * 1000;
    assert.ok(late >= 0 && late <= 1000, `it ended ${late} ms after the last credential`);
    const metrics = await (await fetch(`${tab.gateway.admin}/metrics`)).text();
    assert.match(metrics, new RegExp(`^usher_renewals_total\\{.*/counter/live/.*\\} ${renewals}$`, 'm'));

    const times = seen.renewals.map(({ ms }) => ms).sort((a, b) => a - b);
    t.diagnostic(`${Math.round(seen.ms)} ms; a renewal ${Math.round(times[renewals / 2])} ms, at most ${Math.round(times.at(-1))} ms; `
      + `meanwhile ${during('sent')} messages sent and ${during('received')} received`);
  });
}
