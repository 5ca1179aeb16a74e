// Where credentials come from, and what becomes of it when that fails.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { after, before, describe, it } from 'node:test';
import WebSocket from 'ws';
import { connect, UsherError } from '../dist/index.js';
import { asPage, Gateway, next, record } from './gateway.mjs';

const quick = { WebSocket, backoff: { min: 20, max: 200 } };
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A server that answers all requests like this, and counts them. */
async function endpoint(t, answer) {
  const one = { count: 0, answer };
  const server = createServer((request, response) => {
    one.count++;
    one.answer(response, request);
  }).listen(0, '127.0.0.1');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  one.url = `http://127.0.0.1:${server.address().port}/`;
  return one;
}

const json = (status, body) => (response) => {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
};
const page = (status) => (response) => {
  response.writeHead(status, { 'Content-Type': 'text/html' }).end('<h1>Welcome to our Wi-Fi</h1>');
};

async function closed(socket) {
  const over = next(socket, 'close');
  socket.close();
  await over;
}

describe('credentials', { timeout: 90_000 }, () => {
  let gateway;
  before(async () => {
    gateway = await Gateway.start();
  });
  after(() => gateway.stop());

  describe('getToken', () => {
    for (const [name, getToken, word] of [
      ['rejects', () => Promise.reject(new Error('offline')), 'no credential'],
      ['rejects with nothing', () => Promise.reject(), 'no credential'],
      ['throws', () => { throw new Error('offline'); }, 'no credential'],
      ['reads a page instead of JSON', async () => JSON.parse('<html>'), 'no credential'],
      ['returns nothing', () => undefined, 'getToken returned no token'],
      ['returns no text', () => 7, 'getToken returned no token'],
      ['hangs', () => new Promise(() => {}), 'took too long'],
    ]) {
      it(`${name}: it is tried again, and close() ends it`, async () => {
        const socket = connect(`${gateway.ws}/chat`, { ...quick, timeout: 100, getToken });
        for (let i = 0; i < 3; i++) assert.equal((await next(socket, 'down')).error.word, word);
        const over = next(socket, 'close');
        socket.close();
        const { code, error } = await over;
        assert.deepEqual({ code, error }, { code: 1006, error: undefined });
      });
    }

    it('always returns the same expired token: it is shown three times, and that is all', async () => {
      const whys = [];
      const token = gateway.token(-5);
      const socket = connect(`${gateway.ws}/query`, { ...quick, ...asPage, carrier: 'query', getToken: (why) => (whys.push(why), { token, expires_in: 600 }) });
      const seen = record(socket);
      const { error } = await next(socket, 'close');
      assert.deepEqual([error.code, error.word, whys], [4401, 'expired', ['connect', 'refused', 'refused']]);
      assert.deepEqual(seen.map((one) => one.split(' ')[0]), ['open', 'down', 'open', 'down', 'open', 'error', 'close']);
    });

    for (const [status, asked] of [[401, 3], [403, 1]]) {
      it(`says itself that nobody may: ${status}`, async () => {
        let count = 0;
        const getToken = () => Promise.reject(Object.assign(new Error('logged out'), { status: (count++, status) }));
        const socket = connect(`${gateway.ws}/chat`, { ...quick, getToken });
        const { error } = await next(socket, 'close');
        assert.ok(error instanceof UsherError);
        assert.deepEqual([error.status, error.cause.message, count], [status, 'logged out', asked]);
      });
    }
  });

  describe('the desk', () => {
    for (const [name, answer, word] of [
      ['cannot decide', json(503, { title: 'Service Unavailable', detail: 'unavailable', explain_id: 'ABCDEFGHIJKL' }), 'unavailable'],
      ['is a proxy that found nobody', page(502), 'HTTP 502'],
      ['is a page of the Wi-Fi', page(200), 'no credential'],
      ['gives no ticket', json(200, {}), 'no ticket in the answer'],
      ['gives nothing', json(200, null), 'no ticket in the answer'],
      ['hangs up', (response) => response.destroy(), 'no credential'],
      ['hangs', () => {}, 'took too long'],
    ]) {
      it(`${name}: it is tried again, and goes on once it works`, async (t) => {
        const desk = await endpoint(t, answer);
        const socket = connect(`${gateway.ws}/chat`, { ...quick, timeout: 200, desk: desk.url, getToken: () => gateway.token() });
        for (let i = 0; i < 2; i++) {
          const { error } = await next(socket, 'down');
          assert.equal(error.word, word);
          if (word === 'unavailable') assert.deepEqual([error.status, error.id, error.message], [503, 'ABCDEFGHIJKL', 'unavailable (ABCDEFGHIJKL)']);
        }
        desk.answer = async (response, { headers: { authorization } }) => {
          const given = await fetch(`${gateway.ws.replace('ws', 'http')}/usher/v1/tickets?route=/chat`, { method: 'POST', headers: { authorization } });
          json(given.status, await given.json())(response);
        };
        await next(socket, 'open');
        await closed(socket);
      });
    }

    it('is not there', async () => {
      const socket = connect(`${gateway.ws}/chat`, { ...quick, desk: 'http://127.0.0.1:1/', getToken: () => gateway.token() });
      for (let i = 0; i < 3; i++) assert.equal((await next(socket, 'down')).error.word, 'no credential');
      await closed(socket);
    });

    for (const [status, asked] of [[401, 3], [403, 1], [404, 1]]) {
      it(`says ${status}: it is asked ${asked} times`, async (t) => {
        const desk = await endpoint(t, json(status, { detail: 'forbidden', explain_id: 'ABCDEFGHIJKL' }));
        const socket = connect(`${gateway.ws}/chat`, { ...quick, desk: desk.url, getToken: () => gateway.token() });
        const { error } = await next(socket, 'close');
        assert.deepEqual([error.status, error.word, error.id, desk.count], [status, 'forbidden', 'ABCDEFGHIJKL', asked]);
      });
    }
  });

  describe('renewal', () => {
    const long = () => ({ ticket: '', session_expires_in: 0.1 });

    /** Connects so that it renews after some milliseconds, at this endpoint. */
    async function open(t, answer, more = {}) {
      const renewal = await endpoint(t, answer);
      const desk = await endpoint(t, async (response, { headers: { authorization } }) => {
        const given = await fetch(`${gateway.ws.replace('ws', 'http')}/usher/v1/tickets?route=/chat`, { method: 'POST', headers: { authorization } });
        json(given.status, { ...await given.json(), session_expires_in: long().session_expires_in })(response);
      });
      const socket = connect(`${gateway.ws}/chat`, { WebSocket, backoff: { min: 100, max: 400 }, desk: desk.url, renewal: renewal.url, getToken: () => gateway.token(), ...more });
      await next(socket, 'open');
      return { socket, renewal };
    }

    for (const [name, answer] of [
      ['is down', json(503, { detail: 'unavailable' })],
      ['refuses each token', json(401, { detail: 'expired' })],
      ['is a page', page(200)],
      ['says nothing', json(200, {})],
      ['always says that it is over', json(200, { expires_in: 0 })],
    ]) {
      it(`${name}: it is not stormed, and the connection stays`, async (t) => {
        const { socket, renewal } = await open(t, answer);
        const seen = record(socket);
        await pause(2_000);
        // After 100 ms, and then at least 100, 200, 200… ms.
        assert.ok(renewal.count >= 1 && renewal.count <= 11, `asked ${renewal.count} times in 2 s`);
        assert.deepEqual(seen.filter((one) => one !== 'renew'), []);
        assert.equal(socket.readyState, socket.OPEN);
        await closed(socket);
        const { count } = renewal;
        await pause(500);
        assert.equal(renewal.count, count);
      });
    }

    it('says that there is no such session: it is not asked again', async (t) => {
      const { socket, renewal } = await open(t, json(404, {}));
      await pause(1_000);
      assert.equal(renewal.count, 1);
      await closed(socket);
    });

    it('waits for a getToken that hangs, but not for ever', async (t) => {
      let hang = false;
      const whys = [];
      const getToken = (why) => (whys.push(why), hang ? new Promise(() => {}) : gateway.token());
      const { socket, renewal } = await open(t, json(200, { expires_in: 600 }), { getToken, timeout: 300 });
      hang = true;
      while (whys.length < 3) await pause(20);
      hang = false;
      assert.equal((await next(socket, 'renew')).expires_in, 600);
      assert.deepEqual([whys.slice(0, 3), renewal.count], [['connect', 'renew', 'renew'], 1]);
      await closed(socket);
    });
  });

  for (const [name, skew] of [['ahead', 3_600_000], ['behind', -3_600_000]]) {
    it(`a clock that is an hour ${name} of the server's changes nothing`, async (t) => {
      const { now } = Date;
      const token = () => {
        const at = Date.now;
        Date.now = now;
        try {
          return { token: gateway.token(4), expires_in: 4 };
        } finally {
          Date.now = at;
        }
      };
      t.after(() => (Date.now = now));
      Date.now = () => now() + skew;
      const whys = [];
      const socket = connect(`${gateway.ws}/chat`, { ...quick, getToken: (why) => (whys.push(why), token()) });
      const seen = record(socket);
      for (let i = 0; i < 2; i++) await next(socket, 'renew');
      assert.deepEqual([seen, whys], [['open', 'renew', 'renew'], ['connect', 'renew', 'renew']]);
      await closed(socket);
    });
  }
});
