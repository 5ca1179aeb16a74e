// Connections that a page holds through the gateway, and what must hold of them
// while they live and when they end.
import assert from 'node:assert/strict';
import { closedCleanly } from './expect.mjs';
import { explained, unseen } from './gateway-expect.mjs';
import { ending, hold, replies } from './gateway-page.mjs';

/** Where the backend of a path sees it: without its name. */
export function behind(tab, path) {
  const [, name] = path.split('/');
  return { backend: tab.site.backends[name], own: path.slice(name.length + 1) };
}

/**
 * Opens a connection from the application's page, with a token of `claims`, or
 * from another page with a cookie that is set there, and keeps it busy. Returns
 * what is to be done with it.
 */
export async function live(tab, path, claims, { page, cookie } = {}) {
  page ??= await tab.page();
  const secret = cookie ?? tab.token(claims);
  const query = cookie ? {} : { access_token: secret };
  await page.evaluate(hold, { name: path, url: tab.gateway.socket(path, { query }) });
  const held = {
    path, page, secret,
    /** Messages go both ways. */
    flows: () => page.evaluate(replies, { name: path, more: 3 }),
    /** How it ends. */
    end: () => page.evaluate(ending, { name: path }),
    /** It was not disturbed: the page ends it itself, and nothing is missing. */
    async unharmed() {
      await held.flows();
      const { code } = await page.evaluate(ending, { name: path, close: true });
      assert.equal(code, 1000, path);
      await intact(tab, held, 1000);
    },
  };
  await held.flows();
  return held;
}

/** A connection that was ended: both sides and the operator know why, and nothing is missing. */
export async function wasEnded(tab, held, why) {
  const seen = await held.end();
  await toldPage(tab, seen, why);
  await intact(tab, held, 1001);
  return seen;
}

/** The page was told why its connection ended, and so is the operator. */
export async function toldPage(tab, seen, why) {
  const { code, reason } = seen;
  assert.equal(code, why.code, `${code} ${reason}`);
  assert.match(reason, new RegExp(`^${why.word} [A-Z2-7]{12}$`));
  closedCleanly(seen);
  return explained(tab, reason, { verdict: 'ended', carrier: why.carrier ?? 'query', why });
}

/** What the page said came to the backend and back, in order, until the backend's end. */
async function intact(tab, { page, path, secret }, code) {
  const numbers = (length) => Array.from({ length }, (_, i) => String(i));
  const back = await page.evaluate(replies, { name: path });
  assert.deepEqual(back, numbers(back.length));
  const { backend, own } = behind(tab, path);
  const { messages, ...socket } = await backend.over(own);
  assert.ok(messages.length >= back.length && back.length > 0);
  assert.deepEqual(messages, numbers(messages.length));
  assert.deepEqual([socket.code, socket.reason], [code, ''], `${own}: what the backend is told`);
  assert.equal(backend.tap.at(own).length, 1);
  unseen(tab, [secret]);
}

/**
 * Asks for a renewal from a page, the application's unless another is given;
 * resolves to what that can read of the answer.
 */
export async function renew(tab, headers, { from, body, ...options } = {}) {
  const json = body && { 'Content-Type': 'application/json' };
  const request = { method: 'POST', headers: { ...headers, ...json }, body: body && JSON.stringify(body), ...options };
  const { text, ...answer } = await tab.ask('/usher/v1/sessions/renew', request, from);
  return { ...answer, ...(text && JSON.parse(text)) };
}

/** When the one connection of a session ends, in seconds since 1970. */
export async function expires(tab, session) {
  const list = await tab.gateway.connections({ session });
  assert.equal(list.length, 1, JSON.stringify(list));
  return Date.parse(list[0].expires) / 1000;
}
