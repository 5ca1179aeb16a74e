// A browser that was refused many times over comes in at once when it has a
// good credential. Refused in plain HTTP, Firefox would wait for 20 s and more.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { admitted, refused } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { token } from './tokens.mjs';

suite('back-off', (tab) => {
  it('refused twelve times in a row, then admitted', limit, async (t) => {
    const path = '/query/patience';
    const began = Date.now();
    for (let i = 0; i < 12; i++) {
      const url = tab.site.socket(path, { query: { access_token: token(tab.site, { aud: 'mail' }) } });
      const seen = await tab.attempt({ url });
      await refused(tab.site, path, seen, { code: 4401, word: 'unauthenticated', cause: /another audience/ });
    }
    const refusals = Date.now() - began;
    const secret = token(tab.site);
    const url = tab.site.socket(path, { query: { access_token: secret } });
    const seen = await tab.attempt({ url, send: ['hello'], replies: 1 });
    await admitted(tab.site, path, seen, { secrets: [secret] });
    t.diagnostic(`twelve refusals took ${refusals} ms, the admission after them ${Math.round(seen.openedAfter)} ms`);
    assert.ok(seen.openedAfter < 2000, `the handshake took ${seen.openedAfter} ms`);
    assert.ok(refusals < 15_000, `the refusals took ${refusals} ms`);
  });
});
