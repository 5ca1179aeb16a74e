import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, it } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { connect } from '../dist/index.js';
import { Gateway, next, record } from './gateway.mjs';

const quick = { WebSocket, backoff: { min: 20, max: 200 } };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server of the package ws, which does this to each connection. */
async function server(t, onConnection) {
  const wss = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  t.after(() => {
    for (const socket of wss.clients) socket.terminate();
    wss.close();
  });
  await once(wss, 'listening');
  wss.on('connection', onConnection);
  return `ws://127.0.0.1:${wss.address().port}/`;
}

describe('trouble', { timeout: 60_000 }, () => {
  it('a server that hangs up before the connection is open', async (t) => {
    const tcp = createServer((socket) => socket.on('error', () => {}).once('data', () => socket.destroy())).listen(0, '127.0.0.1');
    t.after(() => tcp.close());
    await once(tcp, 'listening');
    const socket = connect(`ws://127.0.0.1:${tcp.address().port}/`, { ...quick, carrier: 'cookie' });
    for (let i = 0; i < 4; i++) {
      const { error, wait } = await next(socket, 'down');
      assert.deepEqual([error.code, error.word], [1006, 'connection lost']);
      assert.ok(wait >= 10 && wait <= 200, String(wait));
    }
    socket.close();
    await next(socket, 'close');
  });

  it('a server that never answers', async (t) => {
    const held = new Set();
    const tcp = createServer((socket) => held.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    t.after(() => {
      for (const socket of held) socket.destroy();
      tcp.close();
    });
    await once(tcp, 'listening');
    const socket = connect(`ws://127.0.0.1:${tcp.address().port}/`, { ...quick, carrier: 'cookie', timeout: 100 });
    for (let i = 0; i < 3; i++) assert.equal((await next(socket, 'down')).error.word, 'attempt took too long');
    socket.close();
    await next(socket, 'close');
  });

  it('a server that ends each connection at once is not stormed', async (t) => {
    let count = 0;
    const url = await server(t, (socket) => (count++, socket.close(1011, 'fault ABCDEFGHIJKL')));
    const socket = connect(url, { ...quick, carrier: 'cookie', backoff: { min: 100, max: 5_000 } });
    const { error } = await next(socket, 'down');
    assert.deepEqual([error.code, error.word, error.id], [1011, 'fault', 'ABCDEFGHIJKL']);
    await pause(2_500);
    // 50 to 100 ms, then twice as much each time.
    assert.ok(count >= 4 && count <= 7, `${count} connections in 2.5 s`);
    socket.close();
    await next(socket, 'close');
  });

  for (const [code, reason, stops] of [[1000, 'done', true], [1008, 'policy', true], [4403, 'forbidden ABCDEFGHIJKL', true], [4503, 'unavailable ABCDEFGHIJKL', false], [4000, 'ours', false]]) {
    it(`${code} is ${stops ? 'the end' : 'not the end'}`, async (t) => {
      const url = await server(t, (socket) => socket.close(code, reason));
      const socket = connect(url, { ...quick, carrier: 'cookie' });
      const seen = record(socket);
      const event = await next(socket, stops ? 'close' : 'down');
      assert.equal(event.error.code, code);
      if (stops) {
        assert.deepEqual([event.code, event.reason], [code, reason]);
        await pause(300);
        assert.deepEqual(seen.map((one) => one.split(' ')[0]), ['open', 'error', 'close']);
      }
      socket.close();
    });
  }

  it('the application may decide', async (t) => {
    const asked = [];
    const url = await server(t, (socket) => socket.close(4000, 'ours'));
    const socket = connect(url, { ...quick, carrier: 'cookie', reconnect: (end) => (asked.push(end), asked.length < 3) });
    await next(socket, 'close');
    assert.deepEqual(asked, Array(3).fill({ code: 4000, reason: 'ours' }));
  });

  it('a peer that never answers a goodbye', async (t) => {
    const url = await server(t, (socket) => socket._socket.pause());
    const socket = connect(url, { ...quick, carrier: 'cookie' });
    await next(socket, 'open');
    const begun = Date.now();
    socket.close(1000);
    assert.equal(socket.readyState, socket.CLOSING);
    const { code, wasClean } = await next(socket, 'close');
    assert.deepEqual([code, wasClean], [1006, false]);
    assert.ok(Date.now() - begun < 7_000);
  });

  it('wrong use is an error at once', () => {
    for (const [url, options] of [
      ['ftp://127.0.0.1/', {}], ['ws://127.0.0.1/#x', {}], ['ws://a:b@127.0.0.1/', {}], ['nonsense', {}],
      ['ws://127.0.0.1/', { carrier: 'subprotocol', getToken: () => 'x' }],
      ['ws://127.0.0.1/', { carrier: 'query' }], ['ws://127.0.0.1/', { carrier: 'first_message' }],
    ]) assert.throws(() => connect(url, { ...quick, ...options }), `${url} ${JSON.stringify(options)}`);
  });

  for (const [name, when] of [['before it is open', ''], ['while it is open', 'await once(socket, "open");'], ['while it comes back', 'await once(socket, "down");']]) {
    it(`close() ${name} leaves nothing that keeps Node alive`, async (t) => {
      const url = name === 'while it comes back' ? 'ws://127.0.0.1:1/' : await server(t, () => {});
      const child = spawn(process.execPath, ['--input-type=module', '-e', `
        import WebSocket from 'ws';
        import { connect } from './dist/index.js';
        process.on('unhandledRejection', (e) => { console.error(e); process.exit(3); });
        const once = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
        const socket = connect('${url}', { WebSocket, carrier: 'cookie', backoff: { min: 60_000, max: 60_000 } });
        ${when}
        socket.close();
        await once(socket, 'close');
        console.log('closed');
      `], { cwd: new URL('..', import.meta.url).pathname, stdio: ['ignore', 'pipe', 'inherit'] });
      let text = '';
      child.stdout.on('data', (more) => (text += more));
      const timer = setTimeout(() => child.kill('SIGKILL'), 8_000);
      const [code] = await once(child, 'exit');
      clearTimeout(timer);
      assert.deepEqual([code, text.trim()], [0, 'closed']);
    });
  }
});

describe('a storm', { timeout: 60_000 }, () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start();
  });
  after(() => gateway.stop());

  it('500 clients come back after a restart, and not all at once', async () => {
    const all = [];
    for (let i = 0; i < 500; i++) {
      all.push(connect(`${gateway.ws}/chat`, { WebSocket, backoff: { min: 1_000, max: 8_000 }, getToken: () => gateway.token(120, { sub: `s${i}`, sid: `s${i}` }) }));
    }
    await Promise.all(all.map((socket) => next(socket, 'open', 30_000)));
    const down = Promise.all(all.map((socket) => next(socket, 'down')));
    const open = Promise.all(all.map((socket) => next(socket, 'open', 30_000).then(() => Date.now())));
    const waits = [];
    for (const socket of all) socket.addEventListener('down', ({ wait }) => waits.push(wait));
    await gateway.halt();
    await down;
    await pause(1_200); // All have tried once more.
    await gateway.run();
    const times = (await open).sort((a, b) => a - b);
    const busiest = Math.max(...times.map((at) => times.filter((other) => other >= at && other < at + 100).length));
    assert.ok(times.at(-1) - times[0] > 500, `all came back within ${times.at(-1) - times[0]} ms`);
    assert.ok(busiest < 200, `${busiest} of 500 came back within 100 ms`);
    assert.ok(new Set(waits.map(Math.round)).size > waits.length / 4, 'the waits are too much alike');
    console.log(`back within ${times.at(-1) - times[0]} ms, at most ${busiest} of 500 in 100 ms`);
    for (const socket of all) socket.close();
    await Promise.all(all.map((socket) => next(socket, 'close')));
  });
});
