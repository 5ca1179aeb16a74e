// The part of an application's backend that the hub needs: a desk where its users
// get tokens. It alone has the key of the hub. A token is a JWT that it signs with
// the key's secret, so that it asks nobody; whoever has one is who it says, may do
// what it says, and no longer than an hour. Without dependencies, in Node 20 or
// later.
//
//   PORT=3000 HUB_KEY=chat.desk HUB_SECRET_FILE=desk.key node desk.mjs
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const kid = process.env.HUB_KEY ?? "chat.desk";
const secret = readFileSync(process.env.HUB_SECRET_FILE ?? "desk.key", "utf8").trim();

// whoIs is your own login: a cookie, a session, what you have. Here it is a header.
const whoIs = (request) => request.headers["x-demo-user"];

const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

// tokenFor signs a token for one of your users (RFC 7519).
function tokenFor(user) {
	const now = Date.now() / 1000; // Not whole: what is made just after a revocation must not seem older.
	const text = `${part({ alg: "HS256", typ: "JWT", kid })}.${part({
		iat: now,
		exp: now + 3600,
		jti: randomUUID(),
		"x-ably-clientId": user,
		"x-ably-capability": JSON.stringify({ "room:*": ["subscribe", "publish", "presence", "history"] }),
	})}`;
	return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

createServer((request, response) => {
	const user = whoIs(request);
	if (request.url !== "/token") return response.writeHead(404).end();
	if (!user) return response.writeHead(401).end();
	response.writeHead(200, { "Content-Type": "application/jwt", "Cache-Control": "no-store" });
	response.end(tokenFor(user));
}).listen(process.env.PORT ?? 3000, "127.0.0.1", function () {
	console.log(`desk at http://127.0.0.1:${this.address().port}`);
});
