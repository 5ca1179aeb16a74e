// Clients with the Ably SDK, each behind a network that is bad in a way of its
// own, and what must hold of what they see.
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { Network } from './network.mjs';

/** What a network does, at the times (ms) that `strikes` has. */
const faults = {
  steady: { strikes: [] },
  slow: { delay: 40, strikes: [400], strike: (network) => network.cut() },
  cut: { strikes: [200, 1700], strike: (network) => network.cut() },
  up: { strikes: [300, 1800], strike: (network) => network.half('up') },
  down: { strikes: [400, 1900], strike: (network) => network.half('down') },
  mute: { strikes: [500], strike: (network) => network.stall('up') },
  deaf: { strikes: [600], strike: (network) => network.stall('down') },
  lost: {
    strikes: [700],
    strike: (network) => {
      network.stall('up');
      network.stall('down');
    },
  },
};
const numbers = 40;
const every = 55; // ms, so that there are some in each fault.

// The server says something each second, and expects the same; a client gives
// up a transport after this and that second.
const patient = { realtimeRequestTimeout: 4_000, disconnectedRetryTimeout: 500, channelRetryTimeout: 500, disableConnectivityCheck: true, logLevel: 0 };

const steps = new Set(['initialized>connecting', 'connecting>connected', 'connected>disconnected', 'disconnected>connecting', 'connecting>disconnected']);

/**
 * Has a client for each fault, and one that is never seen again, talk in `room`
 * while their networks are bad. `call` calls a function of ably-page.mjs where
 * the SDK is, `options` are those of a client of that name at a port, `to` is
 * the server's port and `connections` resolves to its connections of a client.
 */
export async function disturb({ call, options, to, room, connections, prefix = '' }) {
  const networks = new Map();
  const names = Object.keys(faults).map((name) => prefix + name);
  const gone = `${prefix}gone`;
  const enter = async (name, delay, more = {}) => {
    const network = await Network.open(to, { delay });
    networks.set(name, network);
    const made = await call('open', {
      name, options: { ...patient, ...options(name, network.port), transportParams: { heartbeatInterval: 1_000, ...more } },
    });
    assert.equal(made.state, 'connected', `${name}: ${made.code}`);
    await call('attach', { name, room });
    assert.equal(await call('does', { name, room, of: 'presence', method: 'enter', args: ['here'] }), 0);
    return made.id;
  };
  try {
    const ids = await Promise.all(Object.entries(faults).map(([name, { delay }]) => enter(prefix + name, delay)));
    await enter(gone, 0, { remainPresentFor: 500 });
    const strikes = Object.entries(faults).flatMap(([name, { strikes: times, strike }]) => times.map(async (at) => {
      await pause(at);
      strike(networks.get(prefix + name));
    }));
    await Promise.all([call('count', { names, room, count: numbers, every }), vanish(networks.get(gone)), ...strikes]);
    await settled({ call, names, ids, room, gone, connections });
  } finally {
    await call('close', [...names, gone]).catch(() => {}); // What failed is said by what came before.
    for (const network of networks.values()) network.close();
  }
}

/** Has a network go, without a word to either side. */
async function vanish(network) {
  network.stall('up');
  network.stall('down');
  network.to = null;
}

async function settled({ call, names, ids, room, gone, connections }) {
  const total = names.length * numbers;
  await Promise.all(names.map((name) => call('heard', { name, messages: total })));
  for (const name of names) assert.deepEqual(await call('refused', name), [], `${name}: refused`);
  await present({ call, names, room, gone });
  for (const name of [...names, gone]) {
    const live = name === gone ? 0 : 1;
    await eventually(`connections of ${name}`, async () => (await connections(name)).length, live);
  }
  const all = await Promise.all(names.map((name) => call('state', name))); // At the end, when nothing can come twice any more.
  const orders = all.map(({ heard }) => heard.map(([data]) => data));
  for (const [i, name] of names.entries()) {
    assert.deepEqual(orders[i], orders[0], `${name}: another order`);
    for (const from of names) {
      assert.deepEqual(orders[i].filter((data) => data.startsWith(`${from} `)), Array.from({ length: numbers }, (_, n) => `${from} ${n}`), `${name}: from ${from}`);
    }
    sane(name, all[i], ids[i]);
  }
}

/** All see the same members as they were last, and nobody but who is gone has left meanwhile. */
async function present({ call, names, room, gone }) {
  const here = names.map((name) => `${name} ${numbers - 1}`).sort();
  for (const name of names) await eventually(`${name}: members`, () => call('members', { name, room }), here);
  const { present: seen } = await call('state', names[0]);
  assert.deepEqual(seen.filter((event) => event.startsWith('leave')), [`leave ${gone} here`]);
}

/** A client was itself all the time, each step was one that a cut explains, and no channel has missed anything. */
function sane(name, { states, changes, state, id, heard }, first) {
  const ways = states.map(({ step }) => step);
  assert.deepEqual([state, id], ['connected', first], `${name}: ${JSON.stringify(states)}`);
  assert.deepEqual(ways.filter((step) => !steps.has(step)), [], `${name}: ${ways}`);
  assert.equal(ways.includes('connected>disconnected'), !name.endsWith('steady'), `${name} was cut: ${ways}`);
  const [begin, attached, ...rest] = changes;
  assert.deepEqual([begin.current, attached.current], ['attaching', 'attached']);
  for (const change of rest) {
    assert.ok(change.current === 'attaching' || (change.current === 'attached' && change.resumed), `${name}: ${JSON.stringify(changes)}`);
    assert.equal(change.code, undefined, `${name}: ${JSON.stringify(changes)}`);
  }
  assert.ok(heard.every(([, clientId]) => clientId), `${name}: who says it`);
}

async function eventually(what, look, want) {
  for (const end = Date.now() + 15_000; ;) {
    const got = await look();
    try {
      assert.deepEqual(got, want, what);
      return;
    } catch (err) {
      if (Date.now() > end) throw err;
    }
    await pause(50);
  }
}
