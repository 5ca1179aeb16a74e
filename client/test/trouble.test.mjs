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

/** Runs this in a process of its own; resolves to how it ended, and what it printed. */
async function child(source) {
  const one = spawn(process.execPath, ['--input-type=module', '-e', `
    import WebSocket from 'ws';
    import { connect } from './dist/index.js';
    process.on('unhandledRejection', (error) => { console.error(error); process.exit(3); });
    const once = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
    ${source}
  `], { cwd: new URL('..', import.meta.url).pathname, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  one.stdout.on('data', (more) => (text += more));
  const timer = setTimeout(() => one.kill('SIGKILL'), 20_000);
  const [code] = await once(one, 'exit');
  clearTimeout(timer);
  return { code, text: text.trim() };
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

  it('a platform that says error, and never close', async () => {
    // As Node 22 does where nobody listens, and Chromium where a policy forbids it.
    class Mute extends EventTarget {
      readyState = 0;
      constructor() {
        super();
        setTimeout(() => this.onerror(new Event('error')), 5);
      }
      close() {}
    }
    const socket = connect('ws://127.0.0.1/', { ...quick, WebSocket: Mute, carrier: 'cookie' });
    for (let i = 0; i < 3; i++) assert.equal((await next(socket, 'down', 2_000)).error.word, 'connection lost');
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
    for (let i = 0; i < 3; i++) assert.equal((await next(socket, 'down')).error.word, 'took too long');
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

  it('the application is not asked about what is final', async (t) => {
    const url = await server(t, (socket) => socket.close(4403, 'forbidden ABCDEFGHIJKL'));
    const socket = connect(url, { ...quick, carrier: 'cookie', reconnect: () => assert.fail('asked') });
    assert.equal((await next(socket, 'close')).code, 4403);
  });

  it('where the application fails to decide, that is told, and it ends', async (t) => {
    const url = await server(t, (socket) => socket.close(4000, 'ours'));
    const { code, text } = await child(`
      process.on('uncaughtException', (error) => console.log(error.message));
      const socket = connect('${url}', { WebSocket, carrier: 'cookie', reconnect: () => { throw new Error('a bug'); } });
      await once(socket, 'close');
      console.log('closed', socket.readyState);
    `);
    assert.deepEqual([code, text.split('\n').sort()], [0, ['a bug', 'closed 3']]);
  });

  it('a network that comes and goes is not stormed', async (t) => {
    const sockets = [];
    const url = await server(t, (socket) => sockets.push(socket));
    const socket = connect(url, { ...quick, carrier: 'cookie', backoff: { min: 100, max: 400 } });
    const seen = record(socket);
    for (let i = 0; i < 8; i++) {
      await next(socket, 'open');
      const { wait } = await new Promise((resolve) => {
        socket.addEventListener('down', resolve, { once: true });
        sockets.at(-1).terminate();
      });
      // None lasted, so that each wait is longer, up to the longest.
      assert.ok(wait >= Math.min(400, 100 * 2 ** i) / 2 && wait <= 400, `${wait} ms after ${i}`);
    }
    await next(socket, 'open');
    socket.close();
    await next(socket, 'close');
    assert.deepEqual(seen, [...Array(8).fill(['open', 'down connection lost']).flat(), 'open', 'close']);
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
      assert.deepEqual(await child(`
        const socket = connect('${url}', { WebSocket, carrier: 'cookie', backoff: { min: 60_000, max: 60_000 } });
        ${when}
        socket.close();
        await once(socket, 'close');
        console.log('closed');
      `), { code: 0, text: 'closed' });
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
    const begun = []; // When each began its last attempt.
    for (let i = 0; i < 500; i++) {
      all.push(connect(`${gateway.ws}/chat`, { WebSocket, backoff: { min: 1_000, max: 8_000 }, getToken: () => (begun[i] = Date.now(), gateway.token(120, { sub: `s${i}`, sid: `s${i}` })) }));
    }
    await Promise.all(all.map((socket) => next(socket, 'open', 30_000)));
    const waits = [[], []]; // Of the first and the second time that each is down.
    for (const socket of all) {
      let times = 0;
      socket.addEventListener('down', ({ wait }) => waits[times++]?.push(wait));
    }
    const down = Promise.all(all.map((socket) => next(socket, 'down', 30_000)));
    const open = Promise.all(all.map((socket) => next(socket, 'open', 30_000)));
    await gateway.halt();
    await down;
    while (waits[1].length < all.length) await pause(50);
    await gateway.run();
    await open;
    const times = begun.sort((a, b) => a - b);
    // At once, but within min; then between half of and all of twice as much.
    for (const [window, from] of [[waits[0], 0], [waits[1], 1_000]]) {
      const tenths = Array(10).fill(0);
      for (const wait of window) {
        assert.ok(wait >= from && wait < from + 1_000, String(wait));
        tenths[Math.floor((wait - from) / 100)]++;
      }
      // Fifty in each tenth, give or take seven.
      assert.ok(Math.min(...tenths) >= 15 && Math.max(...tenths) <= 95, `waits in tenths of the window: ${tenths}`);
    }
    const busiest = Math.max(...times.map((at) => times.filter((other) => other >= at && other < at + 100).length));
    console.log(`500 clients come back within ${times.at(-1) - times[0]} ms, at most ${busiest} of them in 100 ms`);
    assert.ok(times.at(-1) - times[0] > 1_000, `all came back within ${times.at(-1) - times[0]} ms`);
    for (const socket of all) socket.close();
    await Promise.all(all.map((socket) => next(socket, 'close')));
  });
});
