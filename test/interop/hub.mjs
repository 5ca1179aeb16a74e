// The published SDK of Ably, as it is, with the hub, over a network that is cut.
// Run by test/hub.
//
//   KEY=app.key:secret PORT=8080 node hub.mjs json|msgpack

import assert from "node:assert/strict";
import process from "node:process";

import Ably from "ably";
import { Network } from "../browser/network.mjs";

const network = await Network.open(Number(process.env.PORT));
const options = {
  key: process.env.KEY,
  endpoint: "127.0.0.1",
  port: network.port,
  tls: false,
  logLevel: 1,
  useBinaryProtocol: process.argv[2] === "msgpack",
};

const clients = [];

/** connect returns a client that is connected. */
async function connect(more) {
  const client = new Ably.Realtime({ ...options, ...more });
  clients.push(client);
  await client.connection.whenState("connected");
  return client;
}

/** until waits for what is to become so. */
async function until(what, ok) {
  for (let n = 0; n < 1500; n++) {
    if (await ok()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.fail(`${what}: not within 15 s`);
}

/** cut breaks all connections, and waits until the client is back. */
async function cut(client) {
  const back = new Promise((resolve) => client.connection.once("connected", resolve));
  network.cut();
  await back;
}

/** refused is the code that something is refused with. */
async function refused(promise) {
  try {
    await promise;
  } catch (err) {
    return err.code;
  }
  return undefined;
}

async function messages(alice, bob, room) {
  const got = [];
  await bob.channels.get(room).subscribe((m) => got.push(m));
  const channel = alice.channels.get(room);
  await channel.publish("text", "hello");
  await channel.publish("object", { a: [1, 2] });
  await channel.publish("bytes", Buffer.from([0, 255]));
  await channel.publish([{ name: "x", data: "1" }, { name: "y", data: "2", extras: { headers: { k: "v" } } }]);
  await channel.publish({ id: "once", data: "once" });
  await channel.publish({ id: "once", data: "once" });
  await channel.publish("end", "");
  await until("messages", () => got.length >= 7);
  assert.deepEqual(got.map((m) => m.name ?? m.id), ["text", "object", "bytes", "x", "y", "once", "end"]);
  assert.equal(got[0].data, "hello");
  assert.deepEqual(got[1].data, { a: [1, 2] });
  assert.deepEqual([...got[2].data], [0, 255]);
  assert.equal(got[4].extras.headers.k, "v");
  assert.ok(got.every((m) => m.clientId === "alice" && m.connectionId === alice.connection.id && m.timestamp > 0));
  assert.equal(new Set(got.map((m) => m.id)).size, 7);
  const serials = got.map((m) => m.serial);
  assert.deepEqual(serials, [...serials].sort());
  const page = await channel.history({ limit: 2 });
  assert.deepEqual(page.items.map((m) => m.name ?? m.id), ["end", "once"]);
  assert.deepEqual((await page.next()).items.map((m) => m.name), ["y", "x"]);
}

async function resume(alice, bob, room) {
  const got = [];
  const channel = bob.channels.get(room);
  await channel.subscribe((m) => got.push(m.data));
  const changes = [];
  channel.on((change) => changes.push(change));
  await alice.channels.get(room).presence.enter("here");
  await until("presence", async () => (await channel.presence.get()).length === 1);
  const { id, key } = bob.connection;
  for (let n = 0; n < 5; n++) {
    await alice.channels.get(room).publish("n", `${n} before`);
    const back = cut(bob);
    await Promise.all([back, alice.channels.get(room).publish("n", `${n} while`)]);
    await alice.channels.get(room).publish("n", `${n} after`);
  }
  await until("what was missed", () => got.length >= 15);
  assert.deepEqual(got, [0, 1, 2, 3, 4].flatMap((n) => [`${n} before`, `${n} while`, `${n} after`]));
  assert.equal(bob.connection.id, id);
  assert.notEqual(bob.connection.key, key);
  assert.ok(changes.filter((c) => c.current === "attached").every((c) => c.resumed));
  assert.deepEqual((await channel.presence.get()).map((m) => `${m.clientId} ${m.data}`), ["alice here"]);
  await alice.channels.get(room).presence.leave();
  await until("a leave", async () => (await channel.presence.get()).length === 0);
}

async function rest(alice, room) {
  const client = new Ably.Rest(options);
  assert.ok(Math.abs((await client.time()) - Date.now()) < 60_000);
  const got = [];
  await alice.channels.get(room).subscribe((m) => got.push(m.data));
  await alice.channels.get(room).presence.enter();
  await client.channels.get(room).publish([{ name: "a", data: { x: 1 } }, { name: "b", data: "two" }]);
  await until("what came by REST", () => got.length >= 2);
  assert.deepEqual(got, [{ x: 1 }, "two"]);
  const members = await client.channels.get(room).presence.get();
  assert.deepEqual(members.items.map((m) => m.clientId), ["alice"]);
  const { metrics } = (await client.channels.get(room).status()).status.occupancy;
  assert.deepEqual([metrics.connections, metrics.presenceMembers], [1, 1]);
}

async function tokens(room) {
  const signer = new Ably.Rest(options);
  let asked = 0;
  const authCallback = (params, done) => {
    asked++;
    const capability = JSON.stringify({ [room]: ["subscribe", "presence"] });
    signer.auth.createTokenRequest({ ...params, clientId: "carol", ttl: 4000, capability }).then((r) => done(null, r), done);
  };
  const carol = await connect({ key: undefined, authCallback });
  assert.equal(carol.auth.clientId, "carol");
  const id = carol.connection.id;
  const channel = carol.channels.get(room);
  await channel.attach();
  assert.equal(await refused(channel.publish("x", "x")), 40160);
  assert.equal(await refused(carol.channels.get("other").attach()), 40160);
  await carol.auth.authorize();
  assert.equal(carol.connection.id, id);
  const why = await new Promise((resolve) => carol.connection.once("disconnected", (change) => resolve(change.reason.code)));
  assert.equal(why, 40142);
  await carol.connection.whenState("connected");
  assert.equal(carol.connection.id, id);
  assert.equal(asked, 3);
}

async function refusals(alice) {
  assert.equal(await refused(alice.channels.get("large").publish("x", "x".repeat(70_000))), 40009);
  assert.equal(await refused(alice.channels.get(":hell").attach()), 40010);
  const wrong = new Ably.Realtime({ ...options, key: `${options.key.split(":")[0]}:wrong-secret-wrong` });
  clients.push(wrong);
  const change = await new Promise((resolve) => wrong.connection.once("failed", resolve));
  assert.equal(change.reason.code, 40101);
}

const run = `${process.argv[2]} ${Math.random()}`;
const [alice, bob] = await Promise.all([connect({ clientId: "alice" }), connect({ clientId: "bob" })]);
await messages(alice, bob, `messages ${run}`);
await resume(alice, bob, `resume ${run}`);
await rest(alice, `rest ${run}`);
await tokens(`tokens ${run}`);
await refusals(alice);
for (const client of clients) client.close();
await until("the end", () => clients.every((c) => ["closed", "failed"].includes(c.connection.state)));
console.log("ok");
process.exit(0);
