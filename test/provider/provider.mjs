// An OpenID provider on loopback. It prints its port, which is any but where it
// is told. It knows one client, whose site is in its argument, and lets everybody
// in under the name that they give, whatever the password. It ends with its
// standard input.
//
//	node provider.mjs '{"site":"http://localhost:8080","port":9090,"access":3600}'
//
// POST /control/block?sub=NAME makes it forget who that is.
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const { site, port: wanted = 0, access = 3600, auth = "client_secret_basic", backchannel = true } = JSON.parse(process.argv[2]);

const privateKey = (kid, kind, options, alg) => ({
	...generateKeyPairSync(kind, options).privateKey.export({ format: "jwk" }), kid, alg, use: "sig",
});

const blocked = new Set();

const configuration = {
	clients: [{
		client_id: "usher",
		client_secret: auth === "none" ? undefined : "a secret: of the test/client+",
		token_endpoint_auth_method: auth,
		grant_types: ["authorization_code", "refresh_token"],
		redirect_uris: [`${site}/auth/callback`],
		post_logout_redirect_uris: [`${site}/`],
		backchannel_logout_uri: backchannel ? `${site}/auth/backchannel-logout` : undefined,
		backchannel_logout_session_required: backchannel,
	}],
	jwks: { keys: [privateKey("k1", "rsa", { modulusLength: 2048 }, "RS256")] },
	cookies: { keys: ["of the test"] },
	claims: { profile: ["name"], email: ["email"] },
	conformIdTokenClaims: false,
	features: {
		backchannelLogout: { enabled: true },
		devInteractions: { enabled: true },
		introspection: { enabled: true },
		revocation: { enabled: true },
		rpInitiatedLogout: { enabled: true },
	},
	// The site is on loopback, where the provider's own would not go.
	fetch: (url, { dispatcher, ...options }) => fetch(url, options),
	pkce: { required: () => true },
	ttl: {
		AccessToken: access, AuthorizationCode: 60, Grant: 86400, IdToken: 3600, Interaction: 600,
		RefreshToken: 86400, Session: 86400,
	},
	async findAccount(_ctx, sub) {
		if (blocked.has(sub)) return undefined;
		return { accountId: sub, claims: () => ({ sub, name: `The ${sub}`, email: `${sub}@example.com` }) };
	},
	// Nobody is asked twice for what they have come for.
	async loadExistingGrant(ctx) {
		const { client, session, provider, params } = ctx.oidc;
		const known = session.grantIdFor(client.clientId);
		if (known) return provider.Grant.find(known);
		const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
		grant.addOIDCScope(params.scope);
		await grant.save();
		return grant;
	},
};

const server = createServer();
server.listen(wanted, "127.0.0.1", () => {
	const { port } = server.address();
	const provider = new Provider(`http://127.0.0.1:${port}`, configuration);
	provider.on("server_error", (_ctx, err) => console.error(err));
	provider.on("backchannel.error", (_ctx, err) => console.error(err));
	const serve = provider.callback();
	server.on("request", (req, res) => {
		const url = new URL(req.url, "http://127.0.0.1");
		if (req.method === "POST" && url.pathname === "/control/block") {
			blocked.add(url.searchParams.get("sub"));
			res.end();
			return;
		}
		serve(req, res);
	});
	console.log(port);
});
process.stdin.on("end", () => process.exit(0)).resume();
