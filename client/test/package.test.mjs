// The package as users get it: packed, installed in a fresh folder, and checked
// with the oldest TypeScript that it is for.
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { build } from 'esbuild';
import { Gateway } from './gateway.mjs';

const run = promisify(execFile);
const root = new URL('../..', import.meta.url).pathname;
const own = join(root, 'client');
const installed = (name) => join(own, 'node_modules', name);

describe('the package', { timeout: 90_000 }, () => {
  let dir;
  let gateway;
  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'usher-package-'));
    const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', dir], { cwd: own });
    const [{ filename, files }] = JSON.parse(stdout);
    assert.deepEqual(files.map(({ path }) => path).filter((path) => !path.startsWith('dist/')).sort(), ['README.md', 'package.json']);
    writeFileSync(join(dir, 'package.json'), '{"private": true, "type": "module"}');
    await run('npm', ['install', '--offline', '--no-audit', '--no-fund', '--legacy-peer-deps', `./${filename}`], { cwd: dir });
    // What the examples need besides, as it is installed for these tests.
    for (const name of ['ws', 'graphql', 'graphql-ws', 'react', '@types/react', 'csstype', 'typescript-oldest']) {
      mkdirSync(join(dir, 'node_modules', '@types'), { recursive: true });
      symlinkSync(installed(name), join(dir, 'node_modules', name));
    }
    gateway = await Gateway.start();
  });
  after(async () => {
    await gateway?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  it('has types that the oldest TypeScript reads, in strict mode', async () => {
    writeFileSync(join(dir, 'use.ts'), `
      import { connect, UsherError, type Options, type UsherSocket } from '@usher-ws/client';
      import { useSocket } from '@usher-ws/client/react';
      const options: Options = { getToken: async (why, signal) => ({ token: why + signal.aborted, expires_in: 60 }), protocols: ['a'] };
      const socket: UsherSocket = connect('wss://app.test/chat', options);
      const drop: Pick<WebSocket, 'send' | 'close' | 'readyState' | 'bufferedAmount' | 'protocol' | 'url' | 'binaryType'> = socket;
      socket.addEventListener('down', ({ error, wait }) => console.log(error instanceof UsherError, wait.toFixed(), drop));
      socket.addEventListener('close', (event) => console.log(event.code, event.error?.id));
      socket.onmessage = ({ data }) => console.log(data);
      export const f = () => useSocket('/chat', { onMessage: ({ data }) => data }).status === 'open';
    `);
    const { version } = JSON.parse(readFileSync(join(dir, 'node_modules/typescript-oldest/package.json')));
    assert.match(version, /^5\.0\./);
    const tsc = join(dir, 'node_modules/typescript-oldest/bin/tsc');
    const flags = ['--strict', '--noEmit', '--skipLibCheck', 'false', '--target', 'es2022', '--module', 'es2022', '--moduleResolution', 'bundler', 'use.ts'];
    await run(process.execPath, [tsc, ...flags], { cwd: dir }).catch(({ stdout }) => assert.fail(stdout));
    // A mistake is one: the check can fail.
    writeFileSync(join(dir, 'use.ts'), "import { connect } from '@usher-ws/client'; connect('/x', { getToken: () => 7 });");
    await assert.rejects(run(process.execPath, [tsc, ...flags], { cwd: dir }));
  });

  it('is what the demo has', async () => {
    const { outputFiles: [{ text }] } = await build({ entryPoints: [join(own, 'src/index.ts')], bundle: true, format: 'esm', target: 'es2022', legalComments: 'none', minify: true, write: false });
    const [, ...copy] = readFileSync(join(root, 'internal/demo/site/assets/usher-client.js'), 'utf8').split('\n');
    assert.ok(copy.join('\n') === text, 'it is an old one: npm run demo, in client');
  });

  it('runs the example of a service', async () => {
    cpSync(join(root, 'examples/node-service/service.mjs'), join(dir, 'service.mjs'));
    writeFileSync(join(dir, 'token'), gateway.token());
    const service = spawn(process.execPath, ['service.mjs'], {
      cwd: dir, env: { ...process.env, USHER_URL: `${gateway.ws}/chat`, TOKEN_FILE: './token' }, stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    service.stdout.on('data', (more) => {
      text += more;
      if (text.endsWith('message hello\n')) service.kill('SIGTERM');
    });
    const [code] = await once(service, 'exit');
    assert.deepEqual([code, text.trim().split('\n')], [0, ['open', 'message hello', 'closed']]);
  });

  it('runs the example with graphql-ws, and a subscription outlives its token', async () => {
    cpSync(join(root, 'examples/graphql-ws/client.mjs'), join(dir, 'graphql-client.mjs'));
    cpSync(join(root, 'examples/graphql-ws/server.mjs'), join(dir, 'graphql-server.mjs'));
    const graphql = spawn(process.execPath, ['graphql-server.mjs'], { cwd: dir, env: { ...process.env, PORT: '0' }, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = await once(graphql.stdout, 'data');
      const { default: WebSocket } = await import('ws');
      const port = String(line).match(/\d+/)[0];
      await gateway.serveAlso({ path: '/graphql', port, subprotocols: ['graphql-transport-ws'] });
      const { createAuthenticatedClient } = await import(join(dir, 'graphql-client.mjs'));
      const client = createAuthenticatedClient(`${gateway.ws}/graphql`, { WebSocket, getToken: () => gateway.token(2) });
      const seen = [];
      await new Promise((resolve, reject) => client.subscribe({ query: 'subscription { count(to: 40) }' }, {
        next: ({ data }) => seen.push(data.count), error: reject, complete: resolve,
      }));
      assert.deepEqual(seen, Array.from({ length: 40 }, (_, i) => `alice: ${i + 1}`));
      await client.dispose();
    } finally {
      graphql.kill();
    }
  });
});
