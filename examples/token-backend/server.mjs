// An application's backend that has logged somebody in, in whatever way it does,
// and gets tokens of the gateway for its page: with its API key, by token exchange
// (RFC 8693). Without dependencies, in Node 20 or later.
//
//   PORT=3000 USHER=http://localhost:8080 USHER_KEY_FILE=backend.key node server.mjs
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const usher = process.env.USHER ?? "http://localhost:8080";
const key = readFileSync(process.env.USHER_KEY_FILE ?? "backend.key", "utf8").trim();
const id = key.split("_")[1];

// whoIs is your own login: a cookie, a session, what you have. Here it is a header.
const whoIs = (request) => request.headers["x-demo-user"];

// tokensFor asks the gateway for tokens for one of your users.
async function tokensFor(user) {
	const answer = await fetch(`${usher}/oauth/token`, {
		method: "POST",
		headers: { Authorization: `Basic ${Buffer.from(`${id}:${key}`).toString("base64")}` },
		body: new URLSearchParams({
			grant_type: "urn:ietf:params:oauth:grant-type:token-exchange",
			subject_token: user,
			subject_token_type: "urn:usher:token-type:subject",
			requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token",
			scope: "chat",
		}),
		signal: AbortSignal.timeout(5000),
	});
	if (!answer.ok) throw new Error(`the gateway answers ${answer.status}`);
	return answer.json();
}

createServer(async (request, response) => {
	const user = whoIs(request);
	if (request.method !== "POST" || request.url !== "/token") return response.writeHead(404).end();
	if (!user) return response.writeHead(401).end();
	try {
		const { access_token, refresh_token, expires_in } = await tokensFor(user);
		response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
		response.end(JSON.stringify({ access_token, refresh_token, expires_in, client_id: id }));
	} catch (error) {
		console.error(error.message);
		response.writeHead(503).end();
	}
}).listen(process.env.PORT ?? 3000, "127.0.0.1", function () {
	console.log(`backend at http://127.0.0.1:${this.address().port}`);
});
