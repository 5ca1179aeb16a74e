// Every way to bring a credential, in front of every backend: who is let in is
// made known to the backend, and who is not never comes near it.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask } from './attempt.mjs';
import { echoes } from './gateway-backends.mjs';
import { admitted, explained, failed, refused, toldOnce, unseen, untouched } from './gateway-expect.mjs';
import { limit } from './gateway-tab.mjs';
import { password, upstream } from './gateway-usher.mjs';
import { ways } from './gateway-ways.mjs';
import { token } from './tokens.mjs';

const dashed = (text) => text.replaceAll(' ', '-');

export function defineAdmission(tab) {
  describe('admitted', () => {
    for (const backend of echoes) {
      for (const { name, segment, kind, bring } of ways) {
        it(`${backend}: ${name}`, limit, async () => {
          const path = `/${backend}/${segment}/good-${dashed(name)}`;
          const secret = await kind.good(tab, `/${backend}/${segment}/{case}`);
          const { send, ...plan } = bring(secret, path);
          await comesIn(tab, { backend, path, plan, send, secret });
        });
      }
    }

    // As on a route that takes whatever its clients can bring.
    for (const { name, kind, bring } of ways.filter(({ segment }) => segment !== 'csrf')) {
      it(`a route with all carriers: ${name}`, limit, async () => {
        const path = `/go/all/good-${dashed(name)}`;
        const secret = await kind.good(tab, '/go/all/{case}');
        const { send, ...plan } = bring(secret, path);
        await comesIn(tab, { backend: 'go', path, plan, send, secret });
      });
    }

    it('at another name of the gateway', limit, async () => {
      const secret = tab.token();
      const plan = { host: 'api.app.test', query: { access_token: secret } };
      const request = await admitted(tab, { backend: 'node', path: '/node/query/sibling', secrets: [secret], ...plan });
      assert.deepEqual(request.all('Host'), [`api.app.test:${tab.gateway.port}`]);
    });
  });

  describe('refused', () => {
    let turn = 0;
    for (const { name, segment, carrier, kind, bring, none, absent = {} } of ways) {
      const reasons = Object.entries(kind.bad);
      for (const [reason, { make, why }] of reasons) {
        const backend = echoes[turn++ % echoes.length];
        it(`${backend}: ${name}: ${reason}`, limit, async () => {
          const path = `/${backend}/${segment}/${dashed(`${reason} ${name}`)}`;
          const secret = await make(tab, `/${backend}/${segment}/{case}`);
          await refused(tab, { backend, path, carrier, why, secrets: [secret], ...bring(secret, path) });
        });
      }
      if (!none) continue;
      const backend = echoes[turn++ % echoes.length];
      it(`${backend}: ${name}: no credential`, limit, async () => {
        const path = `/${backend}/${segment}/${dashed(`no ${name}`)}`;
        await refused(tab, { backend, path, carrier: 'none: .*', why: none, ...absent });
      });
    }

    it('a ticket that is used a second time', limit, async () => {
      const ticket = await tab.ticket('/node/ticket/{case}');
      const [first, second] = ['/node/ticket/first', '/node/ticket/second'];
      await admitted(tab, { backend: 'node', path: first, secrets: [ticket], query: { ticket } });
      const why = { code: 4401, status: 401, word: 'unauthenticated', cause: /already used$/ };
      await refused(tab, { backend: 'node', path: second, carrier: 'ticket', why, secrets: [ticket], query: { ticket } });
    });
  });

  describe('Basic', () => defineBasic(tab));
  describe('plain HTTP', () => definePlain(tab));
}

/** An attempt with a credential comes in, wherever the message of it goes. */
async function comesIn(tab, { backend, path, plan, send, secret }) {
  // A first message is for the gateway alone: the backend gets the next.
  const own = send ? { send, replies: send.length - 1 } : {};
  const request = await admitted(tab, { backend, path, secrets: [secret], ...plan, ...own });
  if (plan.query?.room) assert.ok(request.target.endsWith('?room=1'), request.target);
  else assert.ok(!request.target.includes('?'), request.target);
  if (!plan.cookies) return;
  const cookies = request.all('Cookie').join('; ');
  assert.match(cookies, /\btheme=dark\b/, 'cookies of others pass');
  assert.doesNotMatch(cookies, /\bsession=/);
  const [question, ...more] = tab.site.whoami.about(secret);
  assert.equal(more.length, 0, 'the application is asked once');
  assert.equal(question.cookie, `session=${secret}`, 'and is shown that cookie alone');
  assert.equal(question.authorization, undefined);
}

function defineBasic(tab) {
  const secrets = [password, `ann:${password}`];

  for (const backend of echoes) {
    it(`${backend}: the right password, after a challenge`, limit, async (t) => {
      const { page, close } = await tab.stranger();
      t.after(close);
      const path = `/${backend}/basic/good`;
      await admitted(tab, { backend, path, secrets, userinfo: 'ann:correct%20horse' }, page);
    });
  }

  for (const [reason, userinfo] of [['none', ''], ['wrong', 'ann:wrong']]) {
    it(`${reason}: a challenge, of which the page sees nothing`, limit, async (t) => {
      const { page, close } = await tab.stranger();
      t.after(close);
      const backend = reason === 'none' ? 'go' : 'python';
      const since = Date.now() - 1;
      const path = `/${backend}/basic/${reason}`;
      failed(await tab.attempt({ path, userinfo }, page));
      const [last] = await tab.gateway.refusals(`/${backend}/basic/{case}`, since);
      assert.equal(last.status, 401);
      const cause = reason === 'none' ? /no credential$/ : /verifier users: /;
      const why = { code: 4401, status: 401, word: 'unauthenticated', cause };
      const carrier = reason === 'none' ? 'none: .*' : 'basic';
      await explained(tab, `unauthenticated ${last.explain_id}`, { verdict: 'refused', carrier, why });
      untouched(tab.site.backends[backend], `/basic/${reason}`);
    });
  }
}

function definePlain(tab) {
  /** A page of the backend, which the gateway showed to ann: its origin is the gateway's. */
  async function behind(t, path) {
    const session = tab.noted(tab.site.whoami.login());
    const page = await tab.open();
    t.after(() => page.close());
    await tab.setCookies([`session=${session}; Path=${path}; Secure; HttpOnly; SameSite=Lax`], page);
    await page.goto(`${tab.gateway.origin()}${path}`);
    assert.equal(await page.title(), 'a page of the backend');
    return { page, session };
  }

  it('a page of the backend opens a WebSocket at its own origin', limit, async (t) => {
    const path = '/node/cookie/page';
    const { page, session } = await behind(t, path);
    await toldOnce(tab, tab.site.backends.node.tap.at('/cookie/page')[0], {
      audience: upstream(tab.site.backends.node, '/cookie'), subject: 'ann',
    });
    const socket = await page.evaluate((url) => new Promise((resolve) => {
      const ws = new WebSocket(url, ['chat.v1']);
      ws.onopen = () => ws.send('hello');
      ws.onmessage = ({ data }) => ws.close(1000) ?? resolve(data);
      ws.onclose = ({ code, reason }) => resolve(`${code} ${reason}`);
    }), tab.gateway.socket(path));
    assert.equal(socket, 'hello');
    const { messages } = await tab.site.backends.node.over('/cookie/page');
    assert.deepEqual(messages, ['hello']);
    unseen(tab, [session]);
  });

  it('a fetch with a token, and with headers that would be somebody else', limit, async (t) => {
    const { page } = await behind(t, '/go/cookie/page');
    const secret = tab.token();
    const headers = { Authorization: `Bearer ${secret}`, 'X-User': 'root', X_User: 'root', 'X-Usher-Identity': 'root' };
    const url = `${tab.gateway.origin()}/go/bearer/good`;
    const answer = await page.evaluate(ask, { url, options: { headers } });
    assert.equal(answer.status, 200);
    const { go } = tab.site.backends;
    const requests = go.tap.at('/bearer/good');
    assert.equal(requests.length, 1);
    await toldOnce(tab, requests[0], { audience: upstream(go, '/bearer'), subject: 'ann' });
    assert.ok(!requests[0].head.includes('root'), requests[0].head);
    unseen(tab, [secret]);
  });

  const expired = { exp: Math.floor(Date.now() / 1000) - 5 };
  for (const [reason, claims, cause] of [
    ['none', null, /no credential/], ['wrong', { aud: 'mail' }, /another audience/], ['expired', expired, /expired/],
  ]) {
    it(`a fetch: ${reason}`, limit, async (t) => {
      const { page } = await behind(t, '/go/cookie/page');
      const headers = claims ? { Authorization: `Bearer ${tab.noted(token(tab.site, claims))}` } : {};
      const url = `${tab.gateway.origin()}/go/bearer/${reason}`;
      const answer = await page.evaluate(ask, { url, options: { headers } });
      assert.equal(answer.status, 401);
      const text = await tab.gateway.explain(JSON.parse(answer.text).explain_id);
      assert.match(text, cause);
      untouched(tab.site.backends.go, `/bearer/${reason}`);
    });
  }
}
