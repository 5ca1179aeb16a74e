// What the application's site has for pages that use the client.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { base, echoRoutes, route, upstream } from './gateway-usher.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const client = `${root}/client`;
let built; // Once is enough.
const anybody = { 'Access-Control-Allow-Origin': '*' };

/**
 * Builds the client, and has the site serve it, tokens for all who are not in
 * `tab.out`, and pages: one that forbids all connections, and that of the example.
 */
export function serveClient(tab) {
  built ??= execFileSync('npm', ['run', '--silent', 'build'], { cwd: client, stdio: 'pipe' });
  tab.asked = []; // What /token was asked.
  tab.out = new Set(); // Who is logged out.
  const { answers } = tab.site.pages;
  const module = readFileSync(`${client}/dist/index.js`, 'utf8');
  answers.set('/client.js', () => ({ text: module, headers: { 'Content-Type': 'text/javascript', ...anybody } }));
  answers.set('/token', ({ ttl = '60', who = 'ann', life, why }) => {
    tab.asked.push({ who, why });
    if (tab.out.has(who)) return { status: 401, json: {}, headers: anybody };
    const exp = Math.floor(Date.now() / 1000) + Number(ttl);
    const token = tab.token({ sub: who, sid: `${who}-1`, exp });
    return { json: { token, ...(life ? { expires_in: Number(life) } : {}) }, headers: anybody };
  });
  answers.set('/csp', () => ({
    text: '<!doctype html><title>a strict page</title><link rel="icon" href="data:,">',
    headers: { 'Content-Type': 'text/html', 'Content-Security-Policy': "default-src 'self' data:" },
  }));
}

/** Has the site serve the page of an example, with another address of its WebSocket. */
export function servePlainPage(tab, url) {
  const text = readFileSync(`${root}/examples/plain-page/index.html`, 'utf8');
  if (!text.includes("connect('/chat'")) throw new Error('the example connects elsewhere');
  tab.site.pages.answers.set('/plain', () => ({
    text: text.replace("connect('/chat'", `connect('${url}'`), headers: { 'Content-Type': 'text/html' },
  }));
}

/** Has the site serve a page that uses the hook for React. */
export async function serveReact(tab) {
  const { build } = createRequire(`${client}/package.json`)('esbuild');
  const { outputFiles: [{ text }] } = await build({
    entryPoints: [fileURLToPath(new URL('client-react.jsx', import.meta.url))], bundle: true, format: 'esm', write: false,
    nodePaths: [`${client}/node_modules`], jsx: 'automatic', define: { 'process.env.NODE_ENV': '"development"' },
    alias: { '@usher-ws/client': `${client}/dist/index.js`, '@usher-ws/client/react': `${client}/dist/react.js` },
  });
  const { answers } = tab.site.pages;
  answers.set('/react.js', () => ({ text, headers: { 'Content-Type': 'text/javascript' } }));
  answers.set('/react', () => ({
    text: '<!doctype html><title>React</title><link rel="icon" href="data:,"><div id="root"></div><script type="module" src="/react.js"></script>',
    headers: { 'Content-Type': 'text/html' },
  }));
}

/** The configuration: all ways to bring a credential, and a desk that judges the application's cookie. */
export const clientConfiguration = (site) => ({
  ...base(site),
  routes: [
    ...echoRoutes(site),
    route(site, '/node/desk/{case}', upstream(site.backends.node, '/desk'), [{ ticket: { verify: ['app'], cookie: 'session' } }]),
  ],
});
