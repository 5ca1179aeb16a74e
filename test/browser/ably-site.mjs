// What the application's site has for pages that use the published Ably SDK.
import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { base } from './gateway-usher.mjs';
import { sign } from './tokens.mjs';

const sdk = fileURLToPath(new URL('../interop/node_modules/ably/build/ably.min.js', import.meta.url));
const capability = JSON.stringify({ 'room:*': ['history', 'presence', 'publish', 'subscribe'] });

/** The configuration: a hub for pages of the application, by token, by ticket and by its cookie. */
export function hubConfiguration(site) {
  site.hubKeys = { server: secretOf(site), pages: secretOf(site) };
  const secret = (id) => ({ secret: { file: join(site.dir, `${id}.key`) } });
  for (const [id, text] of Object.entries(site.hubKeys)) writeFileSync(join(site.dir, `${id}.key`), text);
  return {
    ...base(site),
    hub: {
      apps: { chat: { keys: { server: secret('server'), pages: { ...secret('pages'), capability: JSON.parse(capability), revocable: true } } } },
      origins: [site.origin()],
      carriers: [{ ticket: { verify: ['local', 'app'], cookie: 'session' } }, { cookie: { name: 'session', verify: ['app'] } }],
    },
  };
}

function secretOf(site) {
  const secret = randomBytes(24).toString('base64url');
  site.secrets.add(secret);
  return secret;
}

/** Has the site serve the SDK, a page with it, and the tokens that a server of the application signs. */
export function serveAbly(tab) {
  tab.asked = []; // Who has asked for a token.
  const { answers } = tab.site.pages;
  const scripts = { '/ably.js': readFileSync(sdk, 'utf8'), '/ably-page.js': readFileSync(new URL('ably-page.mjs', import.meta.url), 'utf8') };
  for (const [path, text] of Object.entries(scripts)) answers.set(path, () => ({ text, headers: { 'Content-Type': 'text/javascript' } }));
  answers.set('/ably', () => ({
    text: '<!doctype html><title>a page with the SDK</title><link rel="icon" href="data:,"><script src="/ably.js"></script>',
    headers: { 'Content-Type': 'text/html' },
  }));
  answers.set('/auth', ({ as = 'request', who, life = '60000', wrong }) => {
    tab.asked.push(who);
    const secret = wrong === 'secret' ? 'of somebody else, and just as long' : tab.site.hubKeys.pages;
    const keyName = wrong === 'key' ? 'chat.nobody' : 'chat.pages';
    if (wrong === 'person') return { status: 403, json: {} };
    if (as === 'request') return { json: signedRequest({ keyName, ttl: Number(life), capability, clientId: who }, secret) };
    const now = Date.now() / 1000;
    const claims = { iat: now, exp: now + life / 1000, 'x-ably-clientId': who, 'x-ably-capability': capability };
    return { text: tab.noted(sign(claims, secret, { kid: keyName })), headers: { 'Content-Type': 'application/jwt' } };
  });
}

/** A token request, which the page redeems at the hub. */
function signedRequest(params, secret) {
  const whole = { ...params, timestamp: Date.now(), nonce: randomBytes(16).toString('hex') };
  const text = ['keyName', 'ttl', 'capability', 'clientId', 'timestamp', 'nonce'].map((name) => `${whole[name]}\n`).join('');
  return { ...whole, mac: createHmac('sha256', secret).update(text).digest('base64') };
}

/** Has a server of the application take back the tokens of somebody, with half a minute of warning or without. */
export function takeBack(tab, clientId, allowReauthMargin) {
  const key = `chat.pages:${tab.site.hubKeys.pages}`;
  return new Promise((resolve, reject) => {
    const asking = request(`${tab.gateway.origin()}/keys/chat.pages/revokeTokens`, {
      method: 'POST', auth: key, ca: readFileSync(tab.site.cert), headers: { 'Content-Type': 'application/json', 'X-Ably-Version': '6' },
      lookup: (host, options, done) => done(null, options.all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4),
    }, (answer) => {
      answer.resume();
      answer.on('end', () => (answer.statusCode < 300 ? resolve() : reject(new Error(`not revoked: ${answer.statusCode}`))));
    });
    asking.on('error', reject);
    asking.end(JSON.stringify({ targets: [`clientId:${clientId}`], allowReauthMargin }));
  });
}
