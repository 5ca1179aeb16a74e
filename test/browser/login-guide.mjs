// What the guide on logging in sets up, as it stands there, on other ports: its
// configuration, its program, and the provider.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { plainEnvironment, Program, until } from './gateway-program.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The secret of the provider's one client. */
const secret = 'a secret: of the test/client+';

/** The first block of a language in the guide. */
function block(language) {
  const page = readFileSync(join(root, 'docs/guide/login.md'), 'utf8');
  return page.match(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``))[1];
}

/** A port that is free now. */
function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Starts it all. The provider's access tokens live for `access` seconds. */
export async function startGuide({ access }) {
  const guide = new Guide();
  guide.dir = mkdtempSync(join(tmpdir(), 'usher-login-'));
  try {
    await guide.start(access);
  } catch (err) {
    await guide.stop();
    throw err;
  }
  return guide;
}

class Guide {
  programs = [];

  async start(access) {
    // The guide's port of each, and ours.
    const ports = new Map();
    for (const port of ['8080', '8082', '9000', '9090']) ports.set(port, await freePort());
    const moved = (text) => text.replaceAll(/\b(8080|8082|9000|9090)\b/g, (port) => ports.get(port));
    this.site = `http://localhost:${ports.get('8080')}`;
    this.provider = `http://127.0.0.1:${ports.get('9090')}`;

    const file = (name) => join(this.dir, name);
    writeFileSync(file('site.go'), moved(block('go')));
    await promisify(execFile)('make', ['build'], { cwd: root, env: plainEnvironment() });
    await promisify(execFile)('go', ['build', '-o', file('site'), file('site.go')], { cwd: root });
    this.run(file('site'), [], { cwd: this.dir });

    const settings = JSON.stringify({ site: this.site, port: ports.get('9090'), access });
    this.run('node', ['provider.mjs', settings], { cwd: join(root, 'test/provider') });

    writeFileSync(file('client-secret'), secret);
    // Beside the guide: so that somebody can be thrown out while the test looks on.
    const text = moved(block('yaml')).replace('scopes: [', 'scopes: [offline_access, ');
    writeFileSync(file('usher.yaml'), `admin: 127.0.0.1:0\nlog: {level: debug, format: json}\ndrain: 0s\n${text}`);
    this.usher = this.run(join(root, 'bin/usher'), ['serve'], { cwd: this.dir });
    await this.usher.event(({ listener }) => listener === 'admin', 'the admin listener');
    for (const at of [this.site, `${this.provider}/.well-known/openid-configuration`]) {
      await until(() => fetch(at).then(({ ok }) => ok, () => false), at, 10_000);
    }
  }

  run(file, args, options) {
    const program = new Program(file, args, { from: 'stderr', ...options });
    this.programs.push(program);
    return program;
  }

  /** Has the provider forget who that is. */
  async block(name) {
    await fetch(`${this.provider}/control/block?sub=${name}`, { method: 'POST' });
  }

  /** All that the programs printed. */
  get told() {
    return this.programs.map(({ text }) => text);
  }

  async stop() {
    await Promise.all(this.programs.map((program) => program.stop()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}
