// An OAuth client that knows nothing of Usher asks for tokens, and a service that
// knows nothing of it checks them: by openid-client and jose, as they are.
//
//   node tokens.mjs ISSUER CLIENT_ID CLIENT_SECRET AUDIENCE
import assert from "node:assert/strict";
import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from "jose";
import * as oauth from "openid-client";

const [issuer, id, secret, audience] = process.argv.slice(2);
const config = await oauth.discovery(new URL(issuer), id, secret, undefined, {
	algorithm: "oauth2",
	execute: [oauth.allowInsecureRequests],
});
const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri));
const check = (token) => jwtVerify(token, keys, { issuer, audience, typ: "at+jwt" });

// For itself.
const own = await oauth.clientCredentialsGrant(config, { scope: "read" });
const service = (await check(own.access_token)).payload;
assert.equal(service.scope, "read");
assert.equal(service.sub, `client:${id}`);
assert.equal(service.client_id, id);
assert.ok(service.jti && service.exp > service.iat);

// For a user, and then again and again.
const first = await oauth.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
	subject_token: "ann",
	subject_token_type: "urn:usher:token-type:subject",
	requested_token_type: "urn:ietf:params:oauth:token-type:refresh_token",
});
const ann = (await check(first.access_token)).payload;
assert.equal(ann.sub, "ann");
assert.ok(["ES256", "EdDSA"].includes(decodeProtectedHeader(first.access_token).alg));
const second = await oauth.refreshTokenGrant(config, first.refresh_token);
assert.equal((await check(second.access_token)).payload.sid, ann.sid);
assert.notEqual(second.refresh_token, first.refresh_token);

// What it is worth, and no more.
assert.equal((await oauth.tokenIntrospection(config, second.access_token)).active, true);
await oauth.tokenRevocation(config, second.refresh_token);
await assert.rejects(oauth.refreshTokenGrant(config, second.refresh_token), (e) => e.error === "invalid_grant");
await assert.rejects(oauth.clientCredentialsGrant(config, { scope: "everything" }), (e) => e.error === "invalid_scope");
await assert.rejects(jwtVerify(second.access_token, keys, { issuer, audience: "other" }));
const wrong = await oauth.discovery(new URL(issuer), id, "wrong", undefined, {
	algorithm: "oauth2",
	execute: [oauth.allowInsecureRequests],
});
await assert.rejects(oauth.clientCredentialsGrant(wrong), (e) => e.status === 401);
console.log("ok");
