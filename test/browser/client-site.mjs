// What the application's site has for pages that use the client.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { base, echoRoutes } from './gateway-usher.mjs';

const client = fileURLToPath(new URL('../../client', import.meta.url));
const anybody = { 'Access-Control-Allow-Origin': '*' };

/** Builds the client, and has the site serve it, tokens, and a page that forbids all connections. */
export function serveClient(tab) {
  execFileSync('npm', ['run', '--silent', 'build'], { cwd: client, stdio: 'pipe' });
  tab.asked = []; // What /token was asked.
  const { answers } = tab.site.pages;
  const module = readFileSync(`${client}/dist/index.js`, 'utf8');
  answers.set('/client.js', () => ({ text: module, headers: { 'Content-Type': 'text/javascript', ...anybody } }));
  answers.set('/token', ({ ttl = '60', who = 'ann', life, why }) => {
    tab.asked.push({ who, why });
    const exp = Math.floor(Date.now() / 1000) + Number(ttl);
    const token = tab.token({ sub: who, sid: `${who}-1`, exp });
    return { json: { token, ...(life ? { expires_in: Number(life) } : {}) }, headers: anybody };
  });
  answers.set('/csp', () => ({
    text: '<!doctype html><title>a strict page</title><link rel="icon" href="data:,">',
    headers: { 'Content-Type': 'text/html', 'Content-Security-Policy': "default-src 'self' data:" },
  }));
}

/** The configuration: all ways to bring a credential. */
export const clientConfiguration = (site) => ({ ...base(site), routes: echoRoutes(site) });
