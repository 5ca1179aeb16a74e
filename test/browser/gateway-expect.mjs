// What must hold of an attempt: in the page, at the backend, on the wire to it
// and for the operator.
import assert from 'node:assert/strict';
import { concealed } from './expect.mjs';
import { until } from './gateway-program.mjs';
import { upstream } from './gateway-usher.mjs';

/**
 * Tries `path` of a backend, and expects to come in: the backend had one
 * handshake, was told once who it is, and never saw any of `secrets`. Returns
 * the handshake as it came to the backend.
 */
export async function admitted(tab, { backend: name, path, secrets, messages = ['hello'], subject = 'ann', ...plan }, page) {
  const seen = await tab.attempt({ path, send: messages, replies: messages.length, ...plan }, page);
  assert.equal(seen.opened, true, JSON.stringify(seen));
  assert.equal(seen.protocol, 'chat.v1');
  assert.deepEqual(seen.messages, messages, JSON.stringify(seen));
  const backend = tab.site.backends[name];
  const own = path.replace(`/${name}`, '');
  const socket = await backend.over(own);
  assert.equal(socket.protocol, 'chat.v1');
  assert.deepEqual(socket.messages, messages);
  assert.equal(socket.code, 1000, 'the page\'s own close code');
  const handshakes = backend.tap.at(own);
  assert.equal(handshakes.length, 1, 'one handshake at the backend');
  await toldOnce(tab, handshakes[0], { audience: upstream(backend, own.replace(/\/[^/]*$/, '')), subject });
  unseen(tab, secrets);
  return handshakes[0];
}

/** The request says once who it is, and has nothing else of a credential. */
export async function toldOnce(tab, request, { audience, subject }) {
  assert.deepEqual(request.all('X-User'), [subject], request.head);
  assert.deepEqual(request.all('Authorization'), [], request.head);
  const tokens = request.all('X-Usher-Identity');
  assert.equal(tokens.length, 1, request.head);
  const { typ, aud, sub, iat, exp } = await tab.gateway.identity(tokens[0]);
  assert.deepEqual({ typ, aud, sub }, { typ: 'usher-identity+jwt', aud: audience, sub: subject });
  assert.ok(exp - iat <= 60, `the identity token lives for ${exp - iat} s`);
}

/** No backend got any of `secrets`, on the wire or as a message. */
export function unseen(tab, secrets) {
  for (const { tap, program } of Object.values(tab.site.backends)) {
    concealed(tap.text(), secrets);
    concealed(program.text, secrets);
  }
}

/**
 * Tries `path` of a backend, and expects the page to be told why not, and the
 * operator too; the backend saw nothing.
 */
export async function refused(tab, { backend, path, carrier, why, secrets = [], ...plan }, page) {
  const seen = await tab.attempt({ path, ...plan }, page);
  assert.equal(seen.close?.code, why.code, JSON.stringify(seen));
  assert.match(seen.close.reason, new RegExp(`^${why.word} [A-Z2-7]{12}$`));
  assert.equal(seen.close.clean, true);
  assert.deepEqual(seen.messages, []);
  await explained(tab, seen.close.reason, { verdict: 'refused', carrier, why, secrets });
  const { [backend]: server } = tab.site.backends;
  // Others may be on their way in.
  await until(() => silent(server).length === 0, `${backend} was connected to, and told nothing`);
  untouched(server, path.replace(`/${backend}`, ''));
  return seen;
}

/** `usher explain` knows of the close reason. */
export async function explained(tab, reason, { verdict, carrier, why, secrets = [] }) {
  const text = await tab.gateway.explain(reason);
  assert.ok(text.startsWith(`${reason.split(' ')[1]}: ${verdict} at `), text);
  assert.match(text, new RegExp(`^  carrier +${carrier}$`, 'm'), text);
  const told = `${why.word} \\(HTTP ${why.status}, or close code ${why.code}\\)`;
  assert.match(text, new RegExp(`^  told +${told}$`, 'm'), text);
  assert.match(text.match(/^  reason +(.*)$/m)[1], why.cause);
  assert.match(text, new RegExp(`^  origin +${tab.site.origin()}$`, 'm'), text);
  if (secrets.length > 0) concealed(text, secrets);
  return text;
}

/**
 * Nothing came to the backend at `path`, and no connection was made to it
 * without a request.
 */
export function untouched(server, path) {
  const { tap, name, program } = server;
  assert.deepEqual(tap.at(path).map(({ head }) => head), [], `${name} must see nothing of ${path}`);
  assert.ok(!program.text.includes(`"${path}`), `${name} tells of ${path}`);
  assert.equal(silent(server).length, 0, `${name} was connected to, and told nothing`);
}

/** The connections to a backend without a request. */
const silent = ({ tap }) => tap.connections.filter(({ text }) => text === '');

/** The handshake failed, of which JavaScript learns nothing. */
export function failed(seen) {
  assert.equal(seen.opened, false, JSON.stringify(seen));
  const { code, reason, clean } = seen.close;
  assert.deepEqual({ code, reason, clean }, { code: 1006, reason: '', clean: false });
}
