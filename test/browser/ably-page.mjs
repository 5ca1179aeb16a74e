// What is done with the published Ably SDK, which is the global Ably: in pages,
// which load this as a module, and in Node.

const clients = {}; // By name.

const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Resolves to what `look` finds, if that is within `ms`. */
async function until(what, look, ms = 20_000) {
  for (const end = Date.now() + ms; ;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${ms} ms`);
    await pause(10);
  }
}

const codeOf = (promise) => promise.then(() => 0, (why) => why.code ?? String(why));

/** The SDK's way to fetch a ticket from the hub's desk by the page's cookie, in place of a token. */
const ticketOf = (desk) => (_, done) => fetch(desk, { method: 'POST', credentials: 'include', headers: { 'X-Requested-With': 'fetch' } })
  .then((answer) => answer.json()).then(({ ticket }) => done(null, ticket), done);

/**
 * Makes a client, which recovers the connection that the page had before its
 * reload if `recover`, and brings tickets of `desk` if there is one. Resolves
 * once it is connected, or is not for the first time: to where that led.
 */
export async function open({ name, options, recover, desk }) {
  const client = new globalThis.Ably.Realtime({
    ...options, ...(recover && { recover: (last, done) => done(true) }), ...(desk && { authUrl: undefined, authCallback: ticketOf(desk) }),
  });
  const one = { client, states: [], heard: [], present: [], changes: [], acks: [] };
  clients[name] = one;
  client.connection.on(({ previous, current, reason }) => one.states.push({ step: `${previous}>${current}`, code: reason?.code, id: client.connection.id }));
  await until(`${name} connects`, () => one.states.some(({ step }) => /connecting>(?!connecting)/.test(step)));
  return state(name);
}

/** What has become of a client. */
export function state(name) {
  const { client, ...one } = clients[name];
  const { connection, auth } = client;
  return {
    ...one, acks: undefined, state: connection.state, code: connection.errorReason?.code, id: connection.id, clientId: auth.clientId,
    format: connection.connectionManager.getActiveTransportFormat(),
  };
}

/** Resolves to what has become of a client once its state has changed in such a way so often. */
export async function stepped({ name, step, count = 1 }) {
  await until(`${name}: ${count} ${step}`, () => clients[name].states.filter((one) => one.step === step).length >= count);
  return state(name);
}

/** Attaches to a channel, and notes what comes. */
export async function attach({ name, room, options }) {
  const one = clients[name];
  const channel = one.client.channels.get(room, options);
  channel.on(({ current, resumed, reason }) => one.changes.push({ current, resumed, code: reason?.code }));
  await channel.presence.subscribe(({ action, clientId, data }) => one.present.push(`${action} ${clientId} ${data ?? ''}`));
  await channel.subscribe(({ data, clientId }) => one.heard.push([typeof data === 'string' ? data : JSON.stringify(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data), clientId]));
  return { params: channel.params, modes: channel.modes, ...state(name) };
}

/** Calls a method of a client's channel, or of a member of it such as presence; resolves to the code of its error, or 0. */
export function does({ name, room, of, method, args = [] }) {
  const channel = clients[name].client.channels.get(room);
  return codeOf((of ? channel[of] : channel)[method](...args));
}

/** Publishes what JSON cannot say, too; resolves to how many acknowledgments had serials. */
export async function publishAll({ name, room }) {
  const channel = clients[name].client.channels.get(room);
  const all = ['text', { n: 1 }, new Uint8Array([0, 255]).buffer, [{ data: 'one' }, { data: 'two' }]];
  const acks = await Promise.all(all.map((data) => (Array.isArray(data) ? channel.publish(data) : channel.publish('e', data))));
  return acks.flatMap(({ serials }) => serials).filter(Boolean).length;
}

/** Resolves to the data of a channel's past, page by page. */
export async function past({ name, room, limit }) {
  const pages = [];
  let page = await clients[name].client.channels.get(room).history({ limit });
  for (; page; page = page.hasNext() ? await page.next() : null) pages.push(page.items.map(({ data }) => (typeof data === 'string' ? data : typeof data)));
  return pages;
}

/** Resolves to a client's state once it has heard so much, and seen so much of presence. */
export async function heard({ name, messages = 0, present = 0 }) {
  const one = clients[name];
  await until(`${name}: ${messages} messages, ${present} of presence`, () => one.heard.length >= messages && one.present.length >= present)
    .catch((why) => { throw new Error(`${why.message}, but ${one.heard.length} and ${one.present.length}: ${JSON.stringify([one.states, one.changes, one.heard.slice(-3)])}`); });
  return state(name);
}

/** Resolves to who is present, by a client's own map, which is in sync. */
export async function members({ name, room }) {
  const all = await clients[name].client.channels.get(room).presence.get();
  return all.map(({ clientId, data }) => `${clientId} ${data ?? ''}`).sort();
}

/** Publishes numbers, `count` of each client, one in `every` ms, and has each fifth be what a client is present with. */
export async function count({ names, room, count: upTo, every }) {
  const all = names.map(async (name) => {
    const one = clients[name];
    const channel = one.client.channels.get(room);
    for (let i = 0; i < upTo; i++) {
      one.acks.push(codeOf(channel.publish('n', `${name} ${i}`)));
      if (i % 5 === 4) one.acks.push(codeOf(channel.presence.update(`${i}`)));
      await pause(every);
    }
  });
  await Promise.all(all);
}

/** Resolves to the codes with which what was counted was refused. */
export async function refused(name) {
  const codes = await Promise.all(clients[name].acks);
  return codes.filter((code) => code !== 0);
}

/** Asks for another token by the client's own means; resolves to the code of the error, or 0. */
export const authorize = (name) => codeOf(clients[name].client.auth.authorize());

/** Closes clients, all of them without names; resolves once they are closed. */
export async function close(names = Object.keys(clients)) {
  await Promise.all(names.map(async (name) => {
    const { client } = clients[name];
    delete clients[name];
    client.close();
    await until(`${name} closes`, () => ['closed', 'failed'].includes(client.connection.state));
  }));
}

/** Connects without the SDK, as a page does that brings another credential than a token; resolves to the first frame. */
export function bare(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url);
    let first = null;
    socket.onmessage = ({ data }) => {
      first = JSON.parse(data);
      socket.close();
    };
    socket.onclose = () => resolve(first);
  });
}
