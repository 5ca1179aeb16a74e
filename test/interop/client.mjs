// A client with Node's ws: client.mjs URL. It sends messages of many sizes and
// ends with an error unless each comes back, in order, compressed if the server
// can.
import { WebSocket } from "ws";

const socket = new WebSocket(process.argv[2], ["soap", "chat"], {
	headers: { Authorization: "Bearer alice-word" },
	perMessageDeflate: { threshold: 0 },
	maxPayload: 32 << 20,
});

function fail(why) {
	console.error(why);
	process.exit(1);
}

const messages = [];
for (const size of [0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 4 << 20]) {
	messages.push("ä".repeat(size / 2), Buffer.alloc(size, size & 0xff));
}
for (let i = 0; i < 2000; i++) {
	messages.push(`message ${i}`);
}

socket.on("open", () => {
	if (socket.protocol !== "chat") fail(`got subprotocol ${socket.protocol}, want chat`);
	if (!socket.extensions.includes("permessage-deflate")) fail(`got extensions "${socket.extensions}", want permessage-deflate`);
	for (const message of messages) {
		socket.send(message);
	}
	// One message in fragments, a ping between them.
	socket.send("frag", { fin: false });
	socket.ping("within");
	socket.send("ment", { fin: false });
	socket.send("ed", { fin: true });
	messages.push("fragmented");
});

let next = 0;
let pongs = 0;
socket.on("pong", (data) => {
	if (data.toString() !== "within") fail(`got pong ${data}`);
	pongs++;
});
socket.on("message", (got, binary) => {
	const want = messages[next];
	const same = binary ? Buffer.isBuffer(want) && got.equals(want) : got.toString() === want;
	if (!same) fail(`message ${next} is not what was sent`);
	if (++next === messages.length) socket.close(4321, "done");
});
socket.on("error", (err) => fail(err.message));
socket.on("close", (code) => {
	if (code !== 4321 || pongs !== 1) fail(`got close ${code} and ${pongs} pongs`);
	process.exit(0);
});
