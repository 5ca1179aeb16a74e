// A chat in the terminal, by the published SDK of Ably: what is typed is said in the
// room, and what is said there is printed. A page does the same, with the same lines.
//
//   DESK=http://127.0.0.1:3000 HUB_PORT=8080 node chat.mjs ann
import { createInterface } from "node:readline";

import Ably from "ably";

const user = process.argv[2] ?? "ann";
const desk = process.env.DESK ?? "http://127.0.0.1:3000";

const client = new Ably.Realtime({
	// It is asked whenever a token is about to end, or was taken back.
	authCallback: async (_, done) => {
		try {
			const answer = await fetch(`${desk}/token`, { headers: { "X-Demo-User": user } });
			if (!answer.ok) throw new Error(`the desk answers ${answer.status}`);
			done(null, await answer.text());
		} catch (error) {
			done(error.message, null);
		}
	},
	endpoint: "127.0.0.1",
	port: Number(process.env.HUB_PORT ?? 8080),
	tls: false, // On this machine only.
});
client.connection.on(({ current, reason }) => console.log(reason ? `${current}: ${reason.message}` : current));

const room = client.channels.get("room:lobby", { params: { rewind: "10" } });
await room.subscribe(({ clientId, data }) => console.log(`${clientId}: ${data}`));
await room.presence.subscribe(["enter", "present", "leave"], ({ clientId, action }) => console.log(`(${clientId}: ${action})`));
await room.presence.enter();

for await (const line of createInterface({ input: process.stdin })) {
	if (line) await room.publish("line", line).catch((error) => console.log(`not said: ${error.message}`));
}
await room.presence.leave();
client.close();
