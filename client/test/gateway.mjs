// The real gateway, in front of a server of the package ws that echoes.
import { spawn } from 'node:child_process';
import { createHmac, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket, { WebSocketServer } from 'ws';

const usher = new URL('../../bin/usher', import.meta.url).pathname;

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

export class Gateway {
  log = '';
  /** What each connection that reached the application has said. */
  reached = [];
  secret = randomBytes(32).toString('hex');

  static async start() {
    const gateway = new Gateway();
    gateway.backend = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'chat.v1' });
    await once(gateway.backend, 'listening');
    gateway.backend.on('connection', (socket, request) => {
      const one = { socket, url: request.url, headers: request.headers, messages: [] };
      gateway.reached.push(one);
      socket.on('message', (data, binary) => {
        one.messages.push(data.toString());
        socket.send(data, { binary });
      });
      socket.on('error', () => {});
    });
    gateway.dir = mkdtempSync(join(tmpdir(), 'usher-client-'));
    gateway.port = await freePort();
    gateway.admin = await freePort();
    await gateway.run();
    return gateway;
  }

  get ws() {
    return `ws://127.0.0.1:${this.port}`;
  }

  /** Serves one more route, to another port, from a restart on. */
  async serveAlso({ path, port, subprotocols }) {
    this.more = [{
      path, upstream: `ws://127.0.0.1:${port}${path}`, subprotocols,
      carriers: [{ ticket: { verify: ['local'] } }], identity: { headers: { 'X-User': 'sub' } },
    }];
    await this.halt();
    await this.run();
  }

  async run() {
    const upstream = `ws://127.0.0.1:${this.backend.address().port}`;
    const route = (path, carriers) => ({ path, upstream: upstream + path, carriers, subprotocols: ['chat.v1'] });
    const verify = ['local'];
    writeFileSync(join(this.dir, 'secret'), this.secret);
    writeFileSync(join(this.dir, 'usher.yaml'), JSON.stringify({
      listen: `127.0.0.1:${this.port}`, admin: `127.0.0.1:${this.admin}`, engine: { memory: true }, drain: '200ms',
      verifiers: { local: { jwt: { issuer: 'test', audience: 'chat', hs256_secret_file: './secret' } } },
      routes: [
        route('/chat', [{ ticket: { verify } }]),
        route('/protocol', [{ subprotocol: { verify } }]),
        route('/query', [{ query: { verify } }]),
        route('/first', [{ first_message: { verify } }]),
        ...this.more ?? [],
      ],
    }));
    this.process = spawn(usher, ['serve', '--config', 'usher.yaml'], { cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    const ready = new Promise((resolve, reject) => {
      const take = (text) => {
        this.log += text;
        if (/listening.*admin/.test(this.log)) resolve();
      };
      this.process.stdout.on('data', take);
      this.process.stderr.on('data', take);
      this.process.once('exit', () => reject(new Error(this.log)));
    });
    await ready;
  }

  async halt(signal = 'SIGTERM') {
    const gone = once(this.process, 'exit');
    this.process.kill(signal);
    await gone;
    this.log = '';
  }

  async stop() {
    await this.halt();
    for (const { socket } of this.reached) socket.terminate();
    this.backend.close();
    rmSync(this.dir, { recursive: true });
  }

  /** A token of alice's for some seconds. */
  token(seconds = 60, claims = {}) {
    const now = Math.floor(Date.now() / 1000);
    const head = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({
      iss: 'test', aud: 'chat', sub: 'alice', sid: 'alice-1', jti: randomBytes(8).toString('hex'),
      iat: now, exp: now + seconds, ...claims,
    })}`;
    return `${head}.${createHmac('sha256', this.secret).update(head).digest('base64url')}`;
  }

  async revoke(what) {
    const answer = await fetch(`http://127.0.0.1:${this.admin}/usher/v1/revocations`, {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(what),
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer.json();
  }
}

class Page extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols ?? [], { origin: new URL(url).origin.replace('ws', 'http') });
  }
}

/** As browsers do, and Node does not, these say which page they are of: so they are told why. */
export const asPage = {
  WebSocket: Page,
  fetch: (to, options) => globalThis.fetch(to, { ...options, headers: { ...options.headers, Origin: new URL(to).origin } }),
};

/** Resolves with the next event of this type. */
export function next(socket, type, within = 8_000) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no ${type} within ${within} ms`)), within);
    socket.addEventListener(type, (event) => {
      clearTimeout(timer);
      resolve(event);
    }, { once: true });
  });
}

/** Keeps the types and errors of all events. */
export function record(socket) {
  const seen = [];
  for (const type of ['open', 'down', 'renew', 'error', 'close']) {
    socket.addEventListener(type, (event) => seen.push(event.error ? `${type} ${event.error.word}` : type));
  }
  return seen;
}
