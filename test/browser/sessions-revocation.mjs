// What is revoked ends, and opens nothing more; what is beside it goes on; and
// who logs in again gets in.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { admitted, refused } from './gateway-expect.mjs';
import { limit } from './gateway-tab.mjs';
import { live, renew, wasEnded } from './sessions-live.mjs';
import { partner } from './sessions-routes.mjs';

const revoked = { code: 4401, status: 401, word: 'revoked', cause: /./ };

/** What is revoked, of whose credentials; and what those beside it have. */
const cases = {
  subject: { claims: { sub: 'sue' }, what: { subject: 'sue' }, beside: { sub: 'susan' } },
  session: { claims: { sub: 'sid', sid: 'sid-1' }, what: { session: 'sid-1' }, beside: { sub: 'sid', sid: 'sid-2' } },
  token: { claims: { sub: 'tom', sid: 'tom-1', jti: 'tom-a' }, what: { token: 'tom-a' }, beside: { sub: 'tom', sid: 'tom-1', jti: 'tom-b' } },
  issuer: { claims: { sub: 'ida', iss: partner }, what: { issuer: partner }, beside: { sub: 'ida' } },
};

export function defineRevocation(tab) {
  describe('revocation', { concurrency: true }, () => {
    for (const [name, { claims, what, beside }] of Object.entries(cases)) {
      it(`by ${name}`, limit, async (t) => {
        const path = `/node/live/revoked-${name}`;
        const held = await live(tab, path, claims);
        const spared = await live(tab, `${path}-beside`, beside);

        const asked = Date.now();
        const { connections, issued_before: before } = await tab.gateway.revoke({ ...what, reason: `a test by ${name}` });
        assert.equal(connections, 1);
        const { at, reason } = await wasEnded(tab, held, { ...revoked, cause: new RegExp(`a test by ${name}`) });
        assert.ok(!reason.includes('test'), 'the reason is the operator\'s');
        assert.ok(at - asked <= 1000, `the page knew after ${at - asked} ms`);
        t.diagnostic(`the page knew after ${at - asked} ms`);

        await isOver(path, held.secret);
        // Tokens have their time in whole seconds, and timers may be early.
        await pause(Math.ceil(Date.parse(before) / 1000) * 1000 + 20 - Date.now());
        const { jti, ...again } = claims;
        const query = { access_token: tab.token(again) };
        await admitted(tab, {
          backend: 'node', path: `${path}-again`, secrets: [query.access_token], subject: claims.sub, query,
        });
        await spared.unharmed();
      });
    }

    /** A credential from before opens nothing, and renews nothing. */
    async function isOver(path, token) {
      const query = { access_token: token };
      await refused(tab, { backend: 'node', path: `${path}-old`, carrier: 'query', why: revoked, secrets: [token], query });
      const answer = await renew(tab, { Authorization: `Bearer ${token}` });
      assert.equal(answer.status, 401, JSON.stringify(answer));
      assert.match(await tab.gateway.explain(answer.explain_id), /^  told +revoked /m);
    }
  });
}
