// The published Ably SDK for JavaScript, against a hub: ably.mjs PORT ADMIN KEY
// GROUP. ADMIN is the address of the admin listener, KEY may do everything, GROUP
// makes tokens that can be revoked.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import Ably from "ably";
import { disturb } from "../browser/ably-faults.mjs";
import * as page from "../browser/ably-page.mjs";
import { Network } from "../browser/network.mjs";

const [port, admin, key, group] = process.argv.slice(2);
globalThis.Ably = Ably; // For what pages do, too.
const slow = await Network.open(Number(port), { delay: 5 });
const open = [];

function options(more) {
	return { key, endpoint: "127.0.0.1", port: slow.port, tls: false, logLevel: 0, disableConnectivityCheck: true, ...more };
}

function realtime(more) {
	const client = new Ably.Realtime(options(more));
	open.push(client);
	return client;
}

// within waits for a promise, and fails by name where it takes too long.
function within(what, promise, ms = 15_000) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`${what}: not in time`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const next = (emitter, event) => within(event, new Promise((resolve) => emitter.once(event, resolve)));
const is = (client, state) => within(state, client.connection.whenState(state));
// tokensOf are token requests that a server signs.
const tokensOf = (params, from = key) => (_, done) =>
	new Ably.Rest(options({ key: from })).auth.createTokenRequest(params).then((r) => done(null, r), (e) => done(e, null));

async function rejects(what, promise, code) {
	const why = await within(what, promise.then(() => null, (e) => e));
	assert.equal(why?.code, code, `${what}: got ${why}`);
	return why;
}

const scenarios = {
	async rest(useBinaryProtocol) {
		const rest = new Ably.Rest(options({ useBinaryProtocol }));
		assert.ok(Math.abs((await rest.time()) - Date.now()) < 60_000);
		const channel = rest.channels.get(`room: a/${randomUUID()}`);
		await channel.publish("json", { a: [1, "ä"] });
		await channel.publish([{ name: "bytes", data: Buffer.from([0, 255]) }, { name: "text", data: "täxt", extras: { headers: { h: 1 } } }]);
		await channel.publish({ id: "same:0", data: "once" });
		await channel.publish({ id: "same:0", data: "once" });
		let page = await channel.history({ limit: 3 });
		assert.deepEqual(page.items.map((m) => m.name ?? m.data), ["once", "text", "bytes"]);
		assert.deepEqual([...page.items[2].data], [0, 255]);
		assert.deepEqual(page.items[1].extras, { headers: { h: 1 } });
		page = await page.next();
		assert.deepEqual(page.items.map((m) => m.data), [{ a: [1, "ä"] }]);
		assert.ok(page.isLast());
		assert.equal((await (await page.first()).current()).items.length, 3);
		assert.equal((await channel.getMessage(page.items[0].serial)).name, "json");
		const batch = await rest.batchPublish({ channels: ["a", ":b"], messages: [{ data: "x" }] });
		assert.deepEqual([batch.successCount, batch.failureCount, batch.results[1].error.code], [1, 1, 40010]);
		await rejects("large", channel.publish("x", "x".repeat(70_000)), 40009);
		await rejects("name", rest.channels.get(":x").publish("x", "y"), 40010);
		assert.ok((await rest.stats({ unit: "hour" })).items[0].entries["messages.inbound.all.messages.count"] > 0);
		const raw = await rest.request("GET", "/keys/x/requestToken", 3);
		assert.deepEqual([raw.statusCode, raw.errorCode], [404, 40400]);
	},

	async auth(useBinaryProtocol) {
		const rest = new Ably.Rest(options({ useBinaryProtocol }));
		const d = await rest.auth.requestToken({ clientId: "me", ttl: 60_000, capability: { c: ["publish"] } });
		assert.deepEqual([d.clientId, d.expires - d.issued, JSON.parse(d.capability)], ["me", 60_000, { c: ["publish"] }]);
		const asToken = new Ably.Rest(options({ key: undefined, token: d, useBinaryProtocol }));
		await asToken.channels.get("c").publish("n", "x");
		await rejects("capability", asToken.channels.get("other").publish("n", "x"), 40160);
		await rejects("client", asToken.channels.get("c").publish({ clientId: "you" }), 40012);
		await rejects("ttl", rest.auth.requestToken({ ttl: -1 }), 40003);
		await rejects("operation", rest.auth.requestToken({ capability: { c: ["fly"] } }), 40000);
		const request = await rest.auth.createTokenRequest({});
		const redeem = () => new Ably.Rest(options({ key: undefined, authCallback: (_, done) => done(null, request) })).auth.requestToken();
		await redeem();
		await rejects("again", redeem(), 40105);
		const wrong = realtime({ key: "this.is:wrong", useBinaryProtocol });
		await is(wrong, "failed");
		assert.equal(wrong.connection.errorReason.code, 40101);
		const other = realtime({ key: undefined, token: d, clientId: "you", useBinaryProtocol });
		await is(other, "failed");
		assert.equal(other.connection.errorReason.code, 40102);
	},

	async channels(useBinaryProtocol) {
		const name = `room:${randomUUID()}`;
		const alice = realtime({ clientId: "alice", useBinaryProtocol });
		const bob = realtime({ clientId: "bob", useBinaryProtocol: !useBinaryProtocol, echoMessages: false });
		const [a, b] = [alice.channels.get(name), bob.channels.get(name)];
		const [toA, toB] = [[], []];
		await a.subscribe((m) => toA.push(m));
		await b.subscribe((m) => toB.push(m));
		const all = ["text", { n: 1 }, Buffer.from("bytes")];
		await Promise.all(all.map((data) => a.publish("e", data)));
		await b.publish([{ data: "from" }, { data: "bob" }]);
		await within("delivery", until(() => toA.length === 5 && toB.length === 3));
		assert.deepEqual(toA.map((m) => (Buffer.isBuffer(m.data) ? m.data.toString() : m.data)), ["text", { n: 1 }, "bytes", "from", "bob"]);
		assert.deepEqual(toB.map((m) => m.clientId), ["alice", "alice", "alice"]);
		assert.equal(new Set(toA.map((m) => m.id)).size, 5);
		assert.ok(a.modes.includes("subscribe"));
		const past = await b.history({ untilAttach: true });
		assert.deepEqual(past.items, []);
		const late = realtime({ useBinaryProtocol }).channels.get(name, { params: { rewind: "2", nonsense: "x" } });
		const seen = [];
		await late.subscribe((m) => seen.push(m.data));
		await within("rewind", until(() => seen.length === 2));
		assert.deepEqual([seen, late.params], [["from", "bob"], { rewind: "2" }]);
		await rejects("bad params", alice.channels.get(`${name}x`, { params: { rewind: "x" } }).attach(), 40000);
		await rejects("bad name", alice.channels.get(":x").attach(), 40010);
		await rejects("modes", alice.channels.get(`${name}y`, { modes: ["subscribe"] }).attach().then(() => alice.channels.get(`${name}y`).publish("x", "y")), 40165);
		await a.detach();
		assert.ok((await alice.connection.ping()) >= 0);
	},

	async presence(useBinaryProtocol) {
		const name = `room:${randomUUID()}`;
		const alice = realtime({ clientId: "alice", useBinaryProtocol });
		const bob = realtime({ clientId: "bob", useBinaryProtocol });
		const [a, b] = [alice.channels.get(name), bob.channels.get(name)];
		const events = [];
		await b.presence.subscribe((p) => events.push(`${p.action} ${p.clientId} ${p.data?.n ?? p.data}`));
		await a.presence.enter({ n: 1 });
		await a.presence.update("two");
		await b.presence.enter();
		await within("members", until(async () => (await a.presence.get()).map((p) => p.clientId).sort().join() === "alice,bob"));
		const many = realtime({ useBinaryProtocol }).channels.get(name);
		await Promise.all(Array.from({ length: 120 }, (_, i) => many.presence.enterClient(`c${i}`, `${i}`)));
		assert.equal((await realtime({ useBinaryProtocol }).channels.get(name).presence.get()).length, 122);
		await rejects("nobody", realtime({ useBinaryProtocol, key: undefined, authCallback: tokensOf({}) }).channels.get(name).presence.enter(), 91000);
		const rest = new Ably.Rest(options({ useBinaryProtocol }));
		assert.equal((await rest.channels.get(name).presence.get({ clientId: "alice" })).items[0].data, "two");
		assert.equal((await rest.batchPresence([name])).results[0].presence.length, 122);
		await a.presence.leave("bye");
		alice.close();
		await within("leave", until(() => events.includes("leave alice bye")));
		assert.deepEqual(events.slice(0, 3), ["enter alice 1", "update alice two", "enter bob undefined"]);
		const status = await rest.channels.get(name).status();
		assert.equal(status.status.occupancy.metrics.presenceMembers, 121);
		assert.equal((await rest.channels.get(name).presence.history()).items.length, 100);
	},

	async tokens(useBinaryProtocol) {
		const short = realtime({ key: undefined, useBinaryProtocol, authCallback: tokensOf({ ttl: 2_000, clientId: "me" }) });
		await is(short, "connected");
		const id = short.connection.id;
		const gone = await next(short.connection, "disconnected");
		assert.equal(gone.reason.code, 40142);
		await is(short, "connected");
		assert.equal(short.connection.id, id);
		short.close();
		let capability = { a: ["*"] };
		const grows = realtime({ key: undefined, useBinaryProtocol, authCallback: (_, done) => tokensOf({ capability })(_, done) });
		await rejects("not yet", grows.channels.get("b").attach(), 40160);
		capability = { a: ["*"], b: ["*"] };
		await grows.auth.authorize();
		await grows.channels.get("b").attach();
		const revoked = realtime({ key: undefined, useBinaryProtocol, authCallback: tokensOf({ clientId: `u${useBinaryProtocol}` }, group) });
		await is(revoked, "connected");
		await new Promise((resolve) => setTimeout(resolve, 10)); // Older than the revocation.
		const rest = new Ably.Rest(options({ key: group, useBinaryProtocol }));
		const left = next(revoked.connection, "disconnected");
		const result = await rest.auth.revokeTokens([{ type: "clientId", value: `u${useBinaryProtocol}` }]);
		assert.equal(result.successCount, 1);
		assert.equal((await left).reason.code, 40141);
		await is(revoked, "connected");
	},

	// Networks are cut, stalled and half closed, and nothing is lost or comes twice.
	async faults(useBinaryProtocol) {
		const name = useBinaryProtocol ? "msgpack" : "JSON";
		await disturb({
			to: Number(port), room: `faults ${name}`, prefix: `${name}-`,
			call: (what, args) => page[what](args),
			options: (clientId, at) => options({ key: undefined, port: at, authCallback: tokensOf({ clientId }), useBinaryProtocol }),
			connections: async (subject) => (await (await fetch(`${admin}/usher/v1/connections?${new URLSearchParams({ subject })}`)).json()).connections,
		});
	},
};

function until(done) {
	return new Promise((resolve) => {
		const look = async () => ((await done()) ? resolve() : setTimeout(look, 5));
		look();
	});
}

let failed = false;

async function run(name, binary) {
	try {
		await scenarios[name](binary);
	} catch (e) {
		failed = true;
		console.error(`${name}, ${binary ? "msgpack" : "JSON"}:`, e);
	}
	for (const client of open.splice(0)) {
		client.close();
	}
}

const { faults, ...others } = scenarios;
for (const name of Object.keys(others)) {
	await run(name, true);
	await run(name, false);
}
await Promise.all([run("faults", true), run("faults", false)]); // They do little but wait.
process.exit(failed ? 1 : 0);
