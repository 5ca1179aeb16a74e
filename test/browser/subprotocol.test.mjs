// What the site says in its handshake never has the secret in it, also where
// the client is refused, and where nothing else was offered.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { attempt } from './attempt.mjs';
import { concealed, refused, turnedAway } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { base64url, token } from './tokens.mjs';

// What is offered beside a good token, or a bad one, and what gets selected.
const offers = [
  { name: 'good', own: ['chat.v1'], selected: 'chat.v1' },
  { name: 'bad', own: ['chat.v1'], bad: true, selected: 'chat.v1' },
  { name: 'bad beside a subprotocol of others', own: ['mqtt'], bad: true, selected: 'mqtt' },
  { name: 'good alone', own: [] },
  { name: 'bad alone', own: [], bad: true },
];

const bearer = (secret) => `usher.bearer.${base64url(secret)}`;

/** The head of a handshake's answer selects `selected` and has no secret in it. */
function expectHead(head, selected, secret) {
  assert.match(head, /^HTTP\/1\.1 101 /);
  const lines = head.split('\r\n').filter((line) => /^sec-websocket-protocol:/i.test(line));
  assert.deepEqual(lines.map((line) => line.replace(/^.*?: */, '')), selected ? [selected] : []);
  assert.ok(!/usher|bearer/i.test(head), head);
  concealed(head, [secret]);
}

suite('subprotocol', (tab) => {
  describe('the answer as it was sent', () => {
    for (const { name, own, bad, selected } of offers) {
      it(name, limit, async () => {
        const path = `/subprotocol/sent-${name.replaceAll(' ', '-')}`;
        const secret = token(tab.site, bad && { aud: 'mail' });
        const protocols = [...own, bearer(secret)];
        const seen = await tab.attempt({ url: tab.site.socket(path), protocols, send: ['hello'], replies: 1 });
        concealed(seen, [secret]);
        const visits = await tab.site.visits(path);
        assert.equal(visits.length, 1);
        expectHead(visits[0].head, selected, secret);
      });
    }
  });

  it('only a token offered is refused', limit, async () => {
    const path = '/subprotocol/alone';
    const seen = await tab.attempt({ url: tab.site.socket(path), protocols: [bearer(token(tab.site))] });
    if (tab.engine === 'chromium') {
      // It fails a handshake that selects nothing of what was offered, so the
      // page cannot learn why.
      await turnedAway(tab.site, path, seen, { status: 101 });
    } else {
      assert.equal(seen.protocol, '');
      await refused(tab.site, path, seen, { code: 4401, word: 'unauthenticated', cause: /beside the secret one/ });
    }
  });
});

suite('subprotocol, the answer as it came', (tab) => {
  // Of a handshake that failed Chromium tells no answer.
  for (const { name, own, bad, selected } of offers.filter((offer) => offer.selected)) {
    it(name, limit, async (t) => {
      const page = await tab.page();
      const cdp = await page.createCDPSession();
      t.after(() => cdp.detach());
      const answers = [];
      cdp.on('Network.webSocketHandshakeResponseReceived', ({ response }) => answers.push(response));
      await cdp.send('Network.enable');
      const secret = token(tab.site, bad && { aud: 'mail' });
      const url = tab.site.socket(`/subprotocol/came-${name.replaceAll(' ', '-')}`);
      await page.evaluate(attempt, { url, protocols: [...own, bearer(secret)], send: ['hello'], replies: 1 });
      assert.equal(answers.length, 1);
      expectHead(answers[0].headersText, selected, secret);
    });
  }
}, { engines: ['chromium'] });
