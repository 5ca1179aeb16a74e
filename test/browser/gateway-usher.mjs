// The gateway itself: its configuration, its process and what it tells its
// operator.
import { execFile } from 'node:child_process';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Program, plainEnvironment, until } from './gateway-program.mjs';

const usher = fileURLToPath(new URL('../../bin/usher', import.meta.url));

/** ann's password, and its hash as htpasswd -B makes it. */
export const password = 'correct horse';
const users = 'ann:$2a$04$E3CV4Npwi5uT2s42VdFZcOAcBQCW/xGqefA9FOONOddvmw.JTI0om\n';

const local = { verify: ['local'] };
const session = { name: 'session', verify: ['app'] };

/** The carriers of the routes, by the segment that the routes have for them. */
const carriers = {
  ticket: [{ ticket: local }],
  subprotocol: [{ subprotocol: local }],
  query: [{ query: local }],
  message: [{ ticket: local }, { first_message: local }],
  cookie: [{ cookie: session }],
  csrf: [{ cookie: { ...session, name: 'guarded', csrf: true } }],
  basic: [{ basic: { verify: ['users'] } }],
  bearer: [{ bearer: local }],
  all: [
    { ticket: local }, { subprotocol: local }, { cookie: session }, { query: local }, { bearer: local },
    { first_message: local },
  ],
};

/** A route, with what they all have in common. */
export function route(site, path, upstream, of, limits = {}) {
  return {
    path,
    upstream,
    origins: [site.origin()],
    subprotocols: ['chat.v1'],
    carriers: of,
    identity: { headers: { 'X-User': 'sub' }, jwt: 'X-Usher-Identity' },
    limits: { first_message: '2s', ...limits },
  };
}

/** The address of what is behind `path` at a backend: the tap. */
export const upstream = (backend, path) => `ws://127.0.0.1:${backend.tap.port}${path}`;

/** The configuration without routes. */
export function base(site) {
  return {
    listen: '127.0.0.1:0',
    admin: '127.0.0.1:0',
    tls: { cert: site.cert, key: site.key },
    hosts: ['app.test', 'api.app.test'],
    engine: { memory: true },
    drain: '1s',
    log: { level: 'debug', format: 'json' },
    verifiers: {
      local: { jwt: { issuer: 'https://login.test', audience: 'chat', hs256_secret_file: './secret' } },
      app: { ask: { url: site.whoami.url } },
      users: { htpasswd: './users' },
    },
  };
}

/** A route for each backend that echoes and each way to bring a credential. */
export function echoRoutes(site) {
  const { socketio, ...echoes } = site.backends;
  return Object.entries(echoes).flatMap(([name, backend]) => Object.entries(carriers).map(([way, of]) => (
    route(site, `/${name}/${way}/{case}`, upstream(backend, `/${way}`), of)
  )));
}

/** The configuration: those routes, one for Socket.IO, and those that `more` adds. */
export function configuration(site, more = []) {
  const { socketio } = site.backends;
  return {
    ...base(site),
    routes: [
      ...echoRoutes(site),
      route(site, '/socket.io/', upstream(socketio, '/socket.io/'), [...carriers.ticket, ...carriers.cookie]),
      ...more.map(({ path, upstream: to, way = 'query' }) => route(site, path, to, carriers[way])),
    ],
  };
}

/** Starts `usher serve` with a configuration, in a directory of its own. */
export async function startUsher(site, config) {
  const gateway = new Gateway();
  gateway.site = site;
  gateway.dir = mkdtempSync(join(site.dir, 'serve-'));
  writeFileSync(join(gateway.dir, 'secret'), site.secret);
  writeFileSync(join(gateway.dir, 'users'), users);
  gateway.configure(config);
  gateway.program = new Program(usher, ['serve', '--config', 'usher.yaml'], { from: 'stderr', cwd: gateway.dir });
  const listening = (listener) => gateway.program.event((event) => event.listener === listener, `the ${listener} listener`);
  try {
    gateway.port = Number((await listening('public')).address.split(':').at(-1));
    gateway.admin = `http://${(await listening('admin')).address}`;
  } catch (err) {
    await gateway.program.stop();
    throw err;
  }
  return gateway;
}

class Gateway {
  /** Writes the configuration; JSON is YAML. */
  configure(config) {
    const text = typeof config === 'string' ? config : JSON.stringify(config, null, 2);
    writeFileSync(join(this.dir, 'usher.yaml'), text);
  }

  /** Has the gateway read its configuration again; resolves once the log says `what`. */
  async reload(what) {
    const since = this.program.events.length;
    this.program.signal('SIGHUP');
    return this.program.event(({ msg }) => msg.includes(what), what, since);
  }

  origin(host = 'app.test') {
    return `https://${host}:${this.port}`;
  }

  /** The address of a WebSocket, with `query` and `userinfo` if any. */
  socket(path, { query = {}, userinfo = '', host = 'app.test' } = {}) {
    const text = new URLSearchParams(query).toString();
    return `wss://${userinfo && `${userinfo}@`}${host}:${this.port}${path}${text && `?${text}`}`;
  }

  /** What `usher explain` prints about an id. */
  async explain(id) {
    const args = ['explain', '--admin', this.admin, id];
    const { stdout } = await promisify(execFile)(usher, args, { env: plainEnvironment() });
    return stdout;
  }

  async status() {
    return (await fetch(`${this.admin}/usher/v1/status`)).json();
  }

  /** Takes credentials back; resolves to the answer. */
  async revoke(what) {
    const answer = await fetch(`${this.admin}/usher/v1/revocations`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(what),
    });
    if (answer.status !== 200) throw new Error(`not revoked: ${answer.status} ${await answer.text()}`);
    return answer.json();
  }

  /** The live connections that `query` selects. */
  async connections(query) {
    const answer = await fetch(`${this.admin}/usher/v1/connections?${new URLSearchParams(query)}`);
    return (await answer.json()).connections;
  }

  /** The newest refusals of a route, the newest first, once there is one after `since`. */
  refusals(name, since) {
    return until(async () => {
      const { recent } = await this.status();
      const found = recent.filter((one) => one.route === name && Date.parse(one.time) >= since);
      return found.length > 0 && found;
    }, `a refusal of ${name}`);
  }

  /**
   * The claims of the token that tells a backend who is there, checked by the
   * keys that are published.
   */
  async identity(jwt) {
    const [head, payload, signature] = jwt.split('.');
    const read = (part) => JSON.parse(Buffer.from(part, 'base64url'));
    const { keys } = await (await fetch(`${this.admin}/.well-known/jwks.json`)).json();
    const jwk = keys.find(({ kid }) => kid === read(head).kid);
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    const good = verify(null, Buffer.from(`${head}.${payload}`), key, Buffer.from(signature, 'base64url'));
    if (!good) throw new Error('the identity token has a wrong signature');
    return { ...read(head), ...read(payload) };
  }

  stop() {
    return this.program.stop();
  }
}
