// Where a page renews its session: what it may read of the answer, and what
// leaves the connection as it is.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limit } from './gateway-tab.mjs';
import { expires, live, renew } from './sessions-live.mjs';

const soon = () => Math.floor(Date.now() / 1000) + 60;
const later = () => Math.floor(Date.now() / 1000) + 600;

export function defineDesk(tab) {
  describe('the desk', { concurrency: true }, () => {
    /** A connection, and who it is. */
    async function begin(name, more = {}) {
      const claims = { sub: name, sid: `${name}-1` };
      const held = await live(tab, `/node/live/desk-${name}`, { ...claims, exp: soon(), ...more });
      return { claims, held };
    }

    const bearer = (claims) => ({ Authorization: `Bearer ${tab.token({ exp: later(), ...claims })}` });

    it('the route\'s page', limit, async () => {
      const { claims, held } = await begin('rita');
      const exp = later();
      const { status, session, expires_in: left, connections } = await renew(tab, bearer({ ...claims, exp }), { body: { session: 'rita-1' } });
      assert.deepEqual({ status, session, connections }, { status: 200, session: 'rita-1', connections: 1 });
      assert.ok(left > 590 && left <= 600, `it ends in ${left} s`);
      assert.equal(await expires(tab, 'rita-1'), exp);
      await held.unharmed();
    });

    const refusals = [
      { name: 'another subject', sub: 'oscar', claims: { sub: 'rita' }, status: 403, cause: /another subject/ },
      { name: 'another session in the body', sub: 'bob', body: { session: 'rita-1' }, status: 403, cause: /another session/ },
      { name: 'an expired token', sub: 'ed', claims: { exp: Math.floor(Date.now() / 1000) - 5 }, status: 401, cause: /expired/ },
      { name: 'a token that no route takes', sub: 'mia', claims: { aud: 'mail' }, status: 401, cause: /another audience/ },
      { name: 'a token that only another route takes', sub: 'staff', claims: { aud: 'staff' }, status: 404 },
      { name: 'another session\'s token', sub: 'nora', claims: { sid: 'nora-2' }, status: 404 },
    ];
    for (const { name, sub, claims: other, body, status, cause } of refusals) {
      it(name, limit, async () => {
        const { claims, held } = await begin(sub);
        const before = await expires(tab, claims.sid);
        const answer = await renew(tab, bearer({ ...claims, ...other }), { body });
        assert.equal(answer.status, status, JSON.stringify(answer));
        if (cause) assert.match(await tab.gateway.explain(answer.explain_id), cause);
        assert.equal(await expires(tab, claims.sid), before);
        await held.unharmed();
      });
    }

    it('another site\'s page, and a sibling\'s', limit, async () => {
      const { claims, held } = await begin('vic');
      const before = await expires(tab, 'vic-1');
      for (const host of ['evil.test', 'api.app.test']) {
        const answer = await renew(tab, bearer(claims), { from: await tab.page(host) });
        assert.deepEqual(answer, { failed: 'TypeError' }, host);
      }
      assert.equal(await expires(tab, 'vic-1'), before);
      await held.unharmed();
    });
  });
}
