import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { connect, UsherError, UsherSocket } from '../dist/index.js';
import { asPage, Gateway, next, record } from './gateway.mjs';

const quick = { ...asPage, backoff: { min: 20, max: 200 } };

describe('connect', { timeout: 60_000 }, () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start();
  });
  after(() => gateway.stop());

  const ways = [
    ['ticket in the query', '/chat', {}],
    ['ticket beside a subprotocol', '/chat', { protocols: ['chat.v1'] }],
    ['subprotocol', '/protocol', { carrier: 'subprotocol', protocols: 'chat.v1' }],
    ['query', '/query', { carrier: 'query' }],
    ['first message', '/first', { carrier: 'first_message' }],
  ];
  for (const [name, path, options] of ways) {
    it(`gets in by ${name}, and the application sees no credential`, async () => {
      const before = gateway.reached.length;
      const token = gateway.token();
      const socket = connect(gateway.ws + path, { ...quick, ...options, getToken: () => token });
      const seen = record(socket);
      assert.throws(() => socket.send('early'), { name: 'InvalidStateError' });
      await next(socket, 'open');
      assert.equal(socket.readyState, socket.OPEN);
      assert.equal(socket.url, gateway.ws + path);
      assert.equal(socket.protocol, options.protocols ? 'chat.v1' : '');
      const echo = next(socket, 'message');
      socket.send('hello');
      assert.equal((await echo).data, 'hello');
      assert.equal(gateway.reached.length, before + 1);
      const [one] = gateway.reached.slice(before);
      assert.deepEqual(one.messages, ['hello']);
      assert.ok(!JSON.stringify([one.url, one.headers]).includes(token));
      const closed = next(socket, 'close');
      socket.close(1000, 'bye');
      const { code, reason, wasClean, error } = await closed;
      assert.deepEqual({ code, reason, wasClean, error }, { code: 1000, reason: 'bye', wasClean: true, error: undefined });
      assert.equal(socket.readyState, socket.CLOSED);
      assert.deepEqual(seen.filter((one) => one !== 'renew'), ['open', 'close']);
    });
  }

  for (const [name, path, options] of ways) {
    it(`is refused by ${name}, asks twice more and stops`, async () => {
      const whys = [];
      const getToken = (why) => {
        whys.push(why);
        return gateway.token(-5);
      };
      const before = gateway.reached.length;
      const socket = connect(gateway.ws + path, { ...quick, ...options, getToken });
      const { error } = await next(socket, 'close');
      assert.ok(error instanceof UsherError);
      assert.ok(error.code === 4401 || error.status === 401, String(error));
      assert.match(error.id, /^[A-Z2-7]{12}$/);
      assert.deepEqual(whys, ['connect', 'refused', 'refused']);
      assert.equal(gateway.reached.length, before);
    });
  }

  it('is renewed before the session ends, without a new connection', async () => {
    const before = gateway.reached.length;
    const socket = connect(`${gateway.ws}/chat`, { ...quick, getToken: () => ({ token: gateway.token(4), expires_in: 4 }) });
    const seen = record(socket);
    await next(socket, 'open');
    for (let i = 0; i < 3; i++) assert.ok((await next(socket, 'renew')).expires_in > 0);
    assert.equal(gateway.reached.length, before + 1);
    assert.deepEqual(seen, ['open', 'renew', 'renew', 'renew']);
    socket.close();
    await next(socket, 'close');
  });

  it('comes back with a fresh credential after a revocation', async () => {
    const whys = [];
    const socket = connect(`${gateway.ws}/chat`, { ...quick, getToken: (why) => (whys.push(why), gateway.token(60, { sub: 'ruth', sid: 'r', iat: Math.floor(Date.now() / 1000) })) });
    await next(socket, 'open');
    await new Promise((resolve) => setTimeout(resolve, 1100)); // Tokens say the second.
    const down = next(socket, 'down');
    await gateway.revoke({ session: 'r' });
    const { error } = await down;
    assert.deepEqual([error.code, error.word], [4401, 'revoked']);
    await next(socket, 'open');
    assert.equal(whys[1], 'refused');
    socket.close();
    await next(socket, 'close');
  });

  it('comes back after a restart of the server', async () => {
    const socket = connect(`${gateway.ws}/chat`, { ...quick, getToken: () => gateway.token() });
    await next(socket, 'open');
    const down = next(socket, 'down');
    await gateway.halt();
    assert.equal((await down).error.code, 1001);
    assert.equal(socket.readyState, socket.CONNECTING);
    const open = next(socket, 'open');
    await gateway.run();
    await open;
    socket.close();
    await next(socket, 'close');
  });

  it('is a WebSocket to who has one', async () => {
    const socket = connect(`${gateway.ws}/chat`, { ...quick, getToken: () => gateway.token() });
    for (const [name, value] of Object.entries({ CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 })) {
      assert.deepEqual([socket[name], UsherSocket[name]], [value, value]);
    }
    socket.binaryType = 'arraybuffer';
    const heard = [];
    socket.onmessage = ({ data }) => heard.push(['handler', data]);
    socket.addEventListener('message', { handleEvent: ({ data }) => heard.push(['object', data]) });
    assert.equal(socket.bufferedAmount, 0);
    await next(socket, 'open');
    const echo = next(socket, 'message');
    socket.send(new Uint8Array([1, 2, 3]));
    await echo;
    assert.deepEqual(heard.map(([who, data]) => [who, data instanceof ArrayBuffer, data.byteLength]), [['object', true, 3], ['handler', true, 3]]);
    const timers = () => process.getActiveResourcesInfo().filter((one) => one === 'Timeout').length;
    const before = timers();
    assert.throws(() => socket.close(1234));
    assert.throws(() => socket.close(1000, 'x'.repeat(124)));
    assert.deepEqual([socket.readyState, timers()], [socket.OPEN, before]);
    const again = next(socket, 'message');
    socket.send('still here');
    assert.equal((await again).data, 'still here');
    socket.close();
    socket.close(); // Once more is nothing.
    await next(socket, 'close');
    socket.send('dropped');
  });

  it('stops where it may not', async () => {
    const socket = connect(`${gateway.ws}/chat`, { ...quick, route: '/nowhere', getToken: () => gateway.token() });
    const { error } = await next(socket, 'close');
    assert.equal(error.status, 404);
  });

  it('one attempt, where it is not to come back', async () => {
    const socket = connect(`${gateway.ws}/chat`, { ...quick, reconnect: false, getToken: () => gateway.token(-5) });
    const seen = record(socket);
    await next(socket, 'close');
    assert.equal(seen.filter((one) => one.startsWith('down')).length, 0);
  });
});
