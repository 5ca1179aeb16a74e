// An echo server with Node's ws, as its documentation has it. It selects the
// subprotocol chat, compresses everything it may, and prints its port.
import { WebSocketServer } from "ws";

const server = new WebSocketServer({
	host: "127.0.0.1",
	port: 0,
	maxPayload: 32 << 20,
	perMessageDeflate: { threshold: 0 },
	handleProtocols: (offered) => (offered.has("chat") ? "chat" : false),
});

server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket, request) => {
	if (request.headers.authorization !== undefined) {
		socket.close(1008, "the credential came this far");
		return;
	}
	socket.on("message", (message, binary) => socket.send(message, { binary }));
	socket.on("error", () => {});
});
process.stdin.on("end", () => process.exit(0)).resume();
