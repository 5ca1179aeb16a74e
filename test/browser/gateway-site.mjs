// What surrounds the gateway: a certificate, an application's own pages and its
// "whoami", which judges cookies, and the backends.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { echoes, startBackends } from './gateway-backends.mjs';
import { plainEnvironment } from './gateway-program.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const socketioClient = fileURLToPath(import.meta.resolve('socket.io-client/dist/socket.io.js'));

// The victim's name, its sibling and an attacker's: app.test and evil.test are
// two sites as browsers count them.
const names = ['app.test', 'api.app.test', 'evil.test'];

/** Starts all but the gateway, which each test configures as it likes: with these backends. */
export async function startSurroundings(backends = [...echoes, 'socketio']) {
  const site = new Surroundings();
  try {
    await site.start(backends);
  } catch (err) {
    await site.stop();
    throw err;
  }
  return site;
}

class Surroundings {
  constructor() {
    this.dir = mkdtempSync(join(tmpdir(), 'usher-gateway-'));
    this.secret = randomBytes(32).toString('base64url'); // Of the tokens, for tokens.mjs.
    this.secrets = new Set(); // All credentials that were used.
    this.backends = {};
    this.removeDir = () => rmSync(this.dir, { recursive: true, force: true });
    process.on('exit', this.removeDir);
  }

  async start(backends) {
    execFileSync('make', ['build'], { cwd: root, stdio: 'pipe', env: plainEnvironment() });
    this.makeCertificate();
    this.backends = await startBackends(backends);
    this.whoami = new Whoami();
    this.pages = new Pages(readFileSync(this.cert), readFileSync(this.key));
    await Promise.all([this.whoami.listen(), this.pages.listen()]);
  }

  /** Makes a certificate with the program that comes with Go. */
  makeCertificate() {
    const goroot = execFileSync('go', ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
    const program = join(goroot, 'src/crypto/tls/generate_cert.go');
    execFileSync('go', ['run', program, '--host', names.join(','), '--ecdsa-curve', 'P256'], { cwd: this.dir, stdio: 'pipe' });
    this.cert = join(this.dir, 'cert.pem');
    this.key = join(this.dir, 'key.pem');
    const { publicKey } = new X509Certificate(readFileSync(this.cert));
    const der = publicKey.export({ type: 'spki', format: 'der' });
    this.spki = createHash('sha256').update(der).digest('base64');
  }

  /** The origin of the application's page at `host`. */
  origin(host = 'app.test') {
    return `https://${host}:${this.pages.port}`;
  }

  async stop() {
    this.pages?.close();
    this.whoami?.close();
    await Promise.all(Object.values(this.backends).map((backend) => backend.stop()));
    process.off('exit', this.removeDir);
    this.removeDir();
  }
}

/** The application's own judge of cookies, and what it was asked. */
class Whoami {
  constructor() {
    this.sessions = new Map(); // From the cookie's value to its answer.
    this.questions = [];
    this.server = createServer((request, response) => this.answer(request, response));
  }

  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.url = `http://127.0.0.1:${this.server.address().port}/whoami`;
  }

  /** Makes a session: the value of its cookie. */
  login({ fresh = 300, ...claims } = {}) {
    const value = randomBytes(24).toString('base64url');
    this.sessions.set(value, { fresh, claims: { sub: 'ann', ...claims } });
    return value;
  }

  logout(value) {
    this.sessions.delete(value);
  }

  /** The questions about a session, each as the names and values of its headers. */
  about(value) {
    return this.questions.filter(({ cookie = '' }) => cookie.includes(value));
  }

  answer(request, response) {
    this.questions.push(request.headers);
    const [, value] = (request.headers.cookie ?? '').split('=');
    const session = this.sessions.get(value);
    if (!session) {
      response.writeHead(401).end();
      return;
    }
    response.setHeader('Cache-Control', `max-age=${session.fresh}`);
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(session.claims));
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/**
 * The application's pages, under all names: /page?cookie=… sets cookies, and
 * has Socket.IO's client where ?io is. What `answers` has for a path answers
 * with JSON or a text, and may set status, headers and cookies. A handshake is
 * refused, but it is seen which cookies came with it.
 */
class Pages {
  constructor(cert, key) {
    this.handshakes = []; // The headers of each.
    this.answers = new Map(); // From path to a function of the query: { status, json, text, headers, cookies }.
    this.server = createSecureServer({ cert, key }, (request, response) => this.answer(request, response));
    this.server.on('upgrade', ({ headers }, socket) => {
      this.handshakes.push(headers);
      socket.on('error', () => {});
      socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
    });
    this.server.on('tlsClientError', () => {}); // Browsers break off what they opened ahead.
  }

  async listen() {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    this.port = this.server.address().port;
  }

  answer(request, response) {
    const url = new URL(request.url, 'https://app.test');
    if (url.pathname === '/socket.io.js') {
      response.setHeader('Content-Type', 'text/javascript; charset=utf-8');
      response.end(readFileSync(socketioClient));
      return;
    }
    const own = this.answers.get(url.pathname);
    if (own) {
      const { status = 200, json, text, headers = {}, cookies = [] } = own(Object.fromEntries(url.searchParams));
      response.statusCode = status;
      response.setHeader('Set-Cookie', cookies);
      response.setHeader('Content-Type', 'application/json');
      for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
      response.end(text ?? JSON.stringify(json));
      return;
    }
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.setHeader('Set-Cookie', url.searchParams.getAll('cookie'));
    const script = url.searchParams.has('io') ? '<script src="/socket.io.js"></script>' : '';
    response.end(`<!doctype html><title>a page</title><link rel="icon" href="data:,">${script}`);
  }

  close() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
