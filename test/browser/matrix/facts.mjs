// The facts of the support matrix: each is tried in an engine and returns, in a
// few words, what was seen. What is seen may be of the engine's making; what must
// hold whatever the engine does is asserted, and ends the run.
import assert from 'node:assert/strict';
import { attempt } from '../attempt.mjs';
import { close, connect, echo, events, inWorker } from '../client-page.mjs';
import { until } from '../gateway-program.mjs';
import { password } from '../gateway-usher.mjs';
import { ways } from '../gateway-ways.mjs';

let serial = 0;
const unique = () => `m${serial++}`;

/** What a page saw of an attempt, in a few words. */
function told(seen) {
  if (seen.thrown) return `throws ${seen.thrown}`;
  if (seen.hung) return 'nothing';
  const { code, reason } = seen.close;
  return [code, reason.split(' ')[0]].filter(Boolean).join(' ');
}

/** The backend's sockets at a path of the gateway. */
const reached = (tab, path) => tab.site.backends.node.sockets(path.replace('/node', ''));

/** Opens a path with a plan and says a word; `in` where it was echoed. */
async function enter(tab, path, plan) {
  const seen = await tab.attempt({ path, send: ['hello'], replies: 1, ...plan });
  const is = seen.messages.includes('hello');
  assert.equal(reached(tab, path).length, is ? 1 : 0, JSON.stringify(seen));
  return is ? 'in' : told(seen);
}

const good = ways.map(({ name, segment, kind, bring }) => [name, async (tab) => {
  const route = `/node/${segment}/{case}`;
  const path = `/node/${segment}/${unique()}`;
  const plan = bring(await kind.good(tab, route), path);
  const seen = await enter(tab, path, plan);
  assert.equal(seen, 'in', `${name} must be usable`);
  return seen;
}]);

const bad = ways.flatMap(({ name, segment, kind, bring }) => Object.entries(kind.bad).map(([what, { make, why }]) => [`${name}, ${what}`, async (tab) => {
  const path = `/node/${segment}/${unique()}`;
  const seen = await enter(tab, path, bring(await make(tab, `/node/${segment}/{case}`), path));
  assert.equal(seen, `${why.code} ${why.word}`, name);
  return seen;
}]));

const none = ways.filter((way) => way.none).map(({ name, segment, absent }) => [name, async (tab) => {
  const seen = await enter(tab, `/node/${segment}/${unique()}`, absent ?? {});
  assert.equal(seen, '4401 unauthenticated', name);
  return seen;
}]);

const basic = [['the right password', encodeURIComponent(password)], ['then a wrong one', 'wrong']].map(([what, word]) => (
  [`basic, ${what}`, (tab) => enter(tab, `/node/basic/${unique()}`, { userinfo: `ann:${word}` })]
));

/** Whether a cookie travels with what a page of `host` starts, and what it reaches. */
const foreign = ['evil.test', 'api.app.test'].flatMap((host) => ['None', 'Lax', 'Strict'].map((sameSite) => [
  `cookie with SameSite=${sameSite}, from ${host === 'evil.test' ? 'another site' : 'a sibling'}`, async (tab) => {
    const path = `/node/cookie/${unique()}`;
    const session = tab.noted(tab.site.whoami.login());
    await tab.setCookies([`session=${session}; Path=${path}; Secure; HttpOnly; SameSite=${sameSite}`]);
    const page = await tab.page(host);
    await page.evaluate(attempt, { url: `wss://app.test:${tab.site.pages.port}${path}` });
    const sent = (tab.site.pages.handshakes.at(-1)?.cookie ?? '').includes(session);
    const seen = await tab.attempt({ path, send: ['hello'], replies: 1 }, page);
    assert.equal(reached(tab, path).length, 0, 'a foreign page must reach nobody');
    assert.deepEqual(tab.site.whoami.about(session), [], 'the application must not be asked');
    return `${sent ? 'sent' : 'not sent'}; refused, ${told(seen)}`;
  },
]));

const ends = [
  ['the credential ends', async (tab) => {
    const exp = Math.floor(Date.now() / 1000) + 2;
    const path = `/node/query/${unique()}`;
    const seen = await tab.attempt({ path, query: { access_token: tab.token({ exp }) }, every: 100 });
    assert.match(told(seen), /^4401 expired$/);
    return told(seen);
  }],
  ['logged out everywhere', async (tab) => {
    const sub = unique();
    const path = `/node/query/${unique()}`;
    const iat = Math.floor(Date.now() / 1000) - 5;
    const going = tab.attempt({ path, query: { access_token: tab.token({ sub, iat }) }, every: 100 });
    await until(() => reached(tab, path).length === 1, 'the connection');
    await tab.gateway.revoke({ subject: sub });
    const seen = await going;
    assert.match(told(seen), /^4401 revoked$/);
    return told(seen);
  }],
];

const client = [
  ['reconnects after the end of its credential', async (tab) => {
    const page = await tab.open();
    const name = unique();
    await page.evaluate(connect, { name, url: tab.gateway.socket(`/node/ticket/${name}`), options: { renewal: false }, token: { ttl: 2, who: name } });
    await page.evaluate(events, { name, type: 'open', count: 2 });
    await page.evaluate(close, name);
    await page.close();
    return 'yes';
  }],
  ['is renewed without reconnecting', async (tab) => {
    const page = await tab.open();
    const name = unique();
    await page.evaluate(connect, { name, url: tab.gateway.socket(`/node/ticket/${name}`), token: { ttl: 4, who: name } });
    await page.evaluate(events, { name, type: 'renew', count: 2 });
    assert.equal(reached(tab, `/node/ticket/${name}`).length, 1);
    await page.evaluate(close, name);
    await page.close();
    return 'yes';
  }],
  ['with the page\'s cookie, at the desk and in the handshake', async (tab) => {
    const page = await tab.open();
    const cookie = tab.noted(tab.site.whoami.login({ sub: unique() }));
    await tab.setCookies([`session=${cookie}; Path=/; Secure; HttpOnly; SameSite=Strict`], page);
    for (const [way, options] of [['desk', {}], ['cookie', { carrier: 'cookie' }]]) {
      const name = unique();
      await page.evaluate(connect, { name, url: tab.gateway.socket(`/node/${way}/${name}`), options, token: null });
      await page.evaluate(events, { name, type: 'open' });
      assert.equal(await page.evaluate(echo, { name, text: 'hello' }), 'hello');
      await page.evaluate(close, name);
    }
    await page.close();
    return 'yes';
  }],
  ['ten tabs, tokens asked for', async (tab) => {
    const who = unique();
    const pages = [];
    for (let i = 0; i < 10; i++) pages.push(await tab.open());
    await Promise.all(pages.map((page) => page.evaluate(connect, { name: who, url: tab.gateway.socket(`/node/ticket/${who}`), options: { share: who }, token: { ttl: 60, life: 60, who } })));
    await Promise.all(pages.map((page) => page.evaluate(events, { name: who, type: 'open' })));
    for (const page of pages) {
      await page.evaluate(close, who);
      await page.close();
    }
    const n = tab.asked.filter((one) => one.who === who).length;
    assert.ok(n < 10, 'the tabs must share');
    return String(n);
  }],
  ['the page is left, and comes back', async (tab) => {
    const page = await tab.open();
    const name = unique();
    const path = `/node/ticket/${name}`;
    await page.evaluate(connect, { name, url: tab.gateway.socket(path) });
    await page.evaluate(events, { name, type: 'open' });
    await page.evaluate(() => { window.addEventListener('pageshow', ({ persisted }) => { window.kept = persisted; }); });
    await page.goto(`${tab.site.origin()}/page?away`);
    await until(() => reached(tab, path)[0]?.code !== undefined, 'the server to hear that the page was left');
    const { code } = reached(tab, path)[0];
    await page.goBack();
    const kept = await page.evaluate(() => Boolean(window.kept));
    if (kept) {
      await page.evaluate(events, { name, type: 'open', count: 2 });
      assert.equal(await page.evaluate(echo, { name, text: 'back' }), 'back');
    }
    await page.close();
    return `the server hears ${code}; ${kept ? 'kept, and connected again' : 'loaded anew'}`;
  }],
  ['logged out everywhere, without a login to come back with', async (tab) => {
    const page = await tab.open();
    const who = unique();
    await page.evaluate(connect, { name: who, url: tab.gateway.socket(`/node/ticket/${who}`), token: { who } });
    await page.evaluate(events, { name: who, type: 'open' });
    tab.out.add(who);
    await tab.gateway.revoke({ subject: who });
    const seen = await page.evaluate(events, { name: who, type: 'close' });
    assert.equal(seen[1].word, 'revoked');
    await page.close();
    return `told ${seen[1].code} ${seen[1].word}; tried twice more, and over`;
  }],
  ['the machine sleeps for two minutes', async (tab) => {
    const page = await tab.open();
    const who = unique();
    const path = `/node/ticket/${who}`;
    await page.evaluate(connect, { name: who, url: tab.gateway.socket(path), token: { who, ttl: 60, life: 60 } });
    await page.evaluate(events, { name: who, type: 'open' });
    await tab.sleep(120_000);
    const seen = await page.evaluate(events, { name: who, type: 'open', count: 2, within: 30_000 });
    assert.equal(await page.evaluate(echo, { name: who, text: 'awake' }), 'awake');
    await page.close();
    return `${seen.filter(({ type }) => type === 'down').map(({ word }) => word).join(', ')}; connected again`;
  }],
  ['in a worker', async (tab) => {
    const page = await tab.page();
    const [word] = await page.evaluate(inWorker, { url: tab.gateway.socket(`/node/ticket/${unique()}`) });
    assert.equal(word, 'from a worker');
    return 'yes';
  }],
];

/** Of the platform's WebSocket, without the client. */
const platform = [
  ['a page that is left, without the client', async (tab) => {
    const page = await tab.open();
    const path = `/node/query/${unique()}`;
    const url = tab.gateway.socket(path, { query: { access_token: tab.token() } });
    await page.evaluate((to) => new Promise((resolve) => {
      window.left = new WebSocket(to, ['chat.v1']);
      window.left.onopen = () => resolve();
    }), url);
    await page.goto(`${tab.site.origin()}/page?away`);
    const heard = await until(() => reached(tab, path)[0]?.code, 'the end', 3_000).catch(() => undefined);
    await page.close();
    return heard ? `the server hears ${heard}` : 'the server hears nothing for 3 s';
  }],
  ['a failed handshake (HTTP 403)', async (tab) => {
    const seen = await tab.attempt({ path: `/node/query/${unique()}`, query: { access_token: tab.token() } }, await tab.page('evil.test'));
    return told(seen);
  }],
];

/** Sections of the page, each with facts by name. */
export const sections = [
  ['Admitted', 'The way that a good credential came by, and whether the application answered.', good],
  ['Refused', 'What the page is told of a bad credential: the close code and the word.', bad],
  ['Without a credential', 'What the page is told.', none],
  ['Basic', 'The password is in the URL. A wrong one is answered with an HTTP status, of which pages learn nothing. `in` for a wrong one: the browser has sent the one from before.', basic],
  ['Other sites', 'Whether the browser sends the cookie along, and what the page is told. Nothing ever reaches the application behind the gateway.', foreign],
  ['While connected', 'What the page is told when a connection ends.', ends],
  ['With the client', 'The package `@usher-ws/client` in pages.', client],
  ['Of the engine', 'What the client is there for.', platform],
];
