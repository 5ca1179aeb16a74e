// What must hold of an attempt: in the page, in the handler and for the
// operator.
import assert from 'node:assert/strict';
import { spellings } from './tokens.mjs';

/**
 * The client came in: the handler ran once, as `subject`, spoke the
 * application's subprotocol, heard `messages` and answered `replies`, and none of
 * `secrets` was anywhere it could look.
 */
export async function admitted(site, path, seen, wanted) {
  const { subject = 'ann', messages = ['hello'], secrets, replies = messages } = wanted;
  assert.equal(seen.opened, true, JSON.stringify(seen));
  assert.equal(seen.protocol, 'chat.v1');
  assert.deepEqual(seen.messages, replies);
  const run = await site.until(({ runs }) => runs.find((r) => r.path === path && r.ended), `the end of ${path}`);
  const runs = await site.runs(path);
  assert.equal(runs.length, 1, 'the handler must run once');
  assert.equal(run.subject, subject);
  assert.equal(run.subprotocol, 'chat.v1');
  assert.deepEqual(run.messages, messages);
  concealed(run, secrets);
  assert.equal(run.header.Authorization, undefined);
  return run;
}

/**
 * The closing handshake was whole. In Chromium it never is where the page had
 * sent what the browser had not taken yet, whatever the server did.
 */
export function closedCleanly({ clean, unsent = 0, ...close }) {
  assert.ok(clean || unsent > 0, `not clean: ${JSON.stringify(close)}`);
}

/** None of `secrets` is anywhere in `what`, however it is spelled. */
export function concealed(what, secrets) {
  assert.ok(secrets.length > 0, 'a test of concealment needs a secret');
  const text = JSON.stringify(what);
  for (const secret of secrets) {
    for (const spelling of spellings(secret)) {
      assert.ok(spelling.length > 5 && !text.includes(spelling), `a secret came through: ${text}`);
    }
  }
}

/**
 * The client was turned away so that the page knows why: a clean close with
 * `code`, `word` and an explain id by which the operator finds that it was for
 * the reason `cause`. The handler never ran.
 */
export async function refused(site, path, seen, { code, word, cause }) {
  assert.equal(seen.close?.code, code, JSON.stringify(seen));
  assert.match(seen.close.reason, new RegExp(`^${word} [A-Z2-7]{12}$`));
  assert.equal(seen.close.clean, true);
  assert.deepEqual(seen.messages, []);
  await neverRan(site, path, { status: 101 });
  const { events } = await site.record();
  const id = seen.close.reason.split(' ')[1];
  const found = events.filter((event) => event.id === id);
  assert.equal(found.length, 1, `the operator must find ${id}`);
  assert.equal(found[0].kind, 'refused');
  assert.equal(found[0].word, word);
  assert.match(found[0].cause, cause);
}

/**
 * The client was turned away by HTTP, of which JavaScript sees nothing but a
 * failure. The handler never ran, although the handshake arrived. Returns the
 * handshakes.
 */
export async function turnedAway(site, path, seen, { status }) {
  assert.equal(seen.opened, false, JSON.stringify(seen));
  assert.deepEqual({ code: seen.close.code, reason: seen.close.reason, clean: seen.close.clean }, {
    code: 1006, reason: '', clean: false,
  });
  return neverRan(site, path, { status });
}

async function neverRan(site, path, { status }) {
  const visits = await site.visits(path);
  assert.ok(visits.length > 0, `no request came to ${path}: the test would prove nothing`);
  assert.ok(visits.every((visit) => visit.upgrade), 'only handshakes must come');
  assert.equal(visits.at(-1).status, status);
  assert.deepEqual(await site.runs(path), [], 'the handler must not run');
  return visits;
}
