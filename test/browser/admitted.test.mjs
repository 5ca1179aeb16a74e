// Every way to bring a credential lets its owner in, and no farther than the
// Guard with the credential.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { attempt } from './attempt.mjs';
import { admitted } from './expect.mjs';
import { limit, suite } from './suite.mjs';
import { base64url, token } from './tokens.mjs';

const hello = { send: ['hello'], replies: 1 };

suite('admitted', (tab) => {
  const ticketBy = {
    query: (ticket) => ({ query: { ticket } }),
    subprotocol: (ticket) => ({ protocols: ['chat.v1', `usher.ticket.${ticket}`] }),
    'first message': (ticket) => ({ send: [JSON.stringify({ type: 'auth', ticket }), 'hello'] }),
  };
  for (const [way, bring] of Object.entries(ticketBy)) {
    it(`ticket by ${way}`, limit, async () => {
      const route = way === 'first message' ? '/ticket-message/{case}' : '/ticket/{case}';
      const path = route.replace('{case}', way.replace(' ', '-'));
      const { ticket, bearer, expires_in: seconds } = await tab.ticket(route);
      assert.ok(seconds > 0 && seconds <= 30, `a ticket lives for ${seconds} s`);
      const { query, ...plan } = bring(ticket);
      const seen = await tab.attempt({ ...hello, url: tab.site.socket(path, { query }), ...plan });
      await admitted(tab.site, path, seen, { secrets: [ticket, bearer] });
    });
  }

  it('token by subprotocol', limit, async () => {
    const path = '/subprotocol/good';
    const secret = token(tab.site);
    const protocols = ['chat.v1', `usher.bearer.${base64url(secret)}`];
    const seen = await tab.attempt({ ...hello, url: tab.site.socket(path), protocols });
    const run = await admitted(tab.site, path, seen, { secrets: [secret] });
    assert.deepEqual(run.header['Sec-Websocket-Protocol'], ['chat.v1']);
  });

  it('token by subprotocol, offered before the application\'s own', limit, async () => {
    const path = '/subprotocol/first';
    const secret = token(tab.site);
    const protocols = [`usher.bearer.${base64url(secret)}`, 'chat.v1'];
    const seen = await tab.attempt({ ...hello, url: tab.site.socket(path), protocols });
    await admitted(tab.site, path, seen, { secrets: [secret] });
  });

  it('first message', limit, async () => {
    const path = '/message/good';
    const secret = token(tab.site);
    const send = [JSON.stringify({ type: 'auth', token: secret }), 'hello'];
    const seen = await tab.attempt({ url: tab.site.socket(path), send, replies: 1 });
    await admitted(tab.site, path, seen, { secrets: [secret] });
  });

  it('first message that asks for an answer', limit, async () => {
    const path = '/message/answered';
    const secret = token(tab.site, { sid: 'session-1' });
    const send = [JSON.stringify({ type: 'auth', token: secret, ack: true }), 'hello'];
    const seen = await tab.attempt({ url: tab.site.socket(path), send, replies: 2 });
    const { expires_in: seconds, ...answer } = JSON.parse(seen.messages[0]);
    assert.deepEqual(answer, { type: 'auth_ok', session: 'session-1' });
    assert.ok(seconds > 290 && seconds <= 300, `the session ends in ${seconds} s`);
    await admitted(tab.site, path, seen, { secrets: [secret], replies: [seen.messages[0], 'hello'] });
  });

  it('cookie', limit, async () => {
    const path = '/cookie/good';
    const secret = token(tab.site);
    await tab.setCookies([
      `session=${secret}; Path=${path}; Secure; HttpOnly; SameSite=Strict`,
      `theme=dark; Path=${path}; Secure`,
    ]);
    const seen = await tab.attempt({ ...hello, url: tab.site.socket(path) });
    const run = await admitted(tab.site, path, seen, { secrets: [secret] });
    assert.deepEqual(run.header.Cookie, ['theme=dark'], 'cookies of others pass');
  });

  const csrfBy = {
    query: (csrf) => ({ query: { csrf_token: csrf } }),
    subprotocol: (csrf) => ({ protocols: ['chat.v1', `usher.csrf.${csrf}`] }),
  };
  for (const [way, bring] of Object.entries(csrfBy)) {
    it(`cookie with a CSRF token by ${way}`, limit, async () => {
      const path = `/cookie-csrf/${way}`;
      const secret = token(tab.site);
      await tab.setCookies([`guarded=${secret}; Path=/; Secure; HttpOnly; SameSite=Strict`]);
      const { csrf_token: csrf } = JSON.parse((await tab.ask('/csrf')).text);
      const { query, ...plan } = bring(csrf);
      const seen = await tab.attempt({ ...hello, url: tab.site.socket(path, { query }), ...plan });
      await admitted(tab.site, path, seen, { secrets: [secret, csrf] });
    });
  }

  it('query', limit, async () => {
    const path = '/query/good';
    const secret = token(tab.site);
    const url = tab.site.socket(path, { query: { room: '1', access_token: secret, lang: 'en' } });
    const seen = await tab.attempt({ ...hello, url });
    const run = await admitted(tab.site, path, seen, { secrets: [secret] });
    assert.equal(run.url, `${path}?room=1&lang=en`);
    assert.equal(run.request_uri, `${path}?room=1&lang=en`);
  });

  it('Basic by the URL, after a challenge', limit, async (t) => {
    const path = '/basic/good';
    const { page, close } = await tab.stranger();
    t.after(close);
    const url = tab.site.socket(path, { userinfo: 'ann:correct%20horse' });
    const seen = await page.evaluate(attempt, { ...hello, url, protocols: ['chat.v1'] });
    await admitted(tab.site, path, seen, { secrets: ['correct horse', 'ann:correct horse'] });
    const visits = await tab.site.visits(path);
    assert.deepEqual(visits.map((visit) => [visit.authorization, visit.status]), [[false, 401], [true, 101]]);
    assert.match(visits[0].challenge, /^Basic /);
  });
});
