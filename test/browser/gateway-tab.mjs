// A browser in front of the gateway, and what its pages do.
import { ask, attempt } from './attempt.mjs';
import { startChromium } from './engines/chromium.mjs';
import { startFirefox } from './engines/firefox.mjs';
import { startWebKit } from './engines/webkit.mjs';
import { startSurroundings } from './gateway-site.mjs';
import { configuration, startUsher } from './gateway-usher.mjs';
import { token } from './tokens.mjs';

const starters = { chromium: startChromium, firefox: startFirefox, webkit: startWebKit };

/** The engines that USHER_BROWSERS names. */
export const engines = (process.env.USHER_BROWSERS || 'chromium,firefox').split(',').map((name) => name.trim());
for (const name of engines) {
  if (!starters[name]) throw new Error(`USHER_BROWSERS names ${name}; there are ${Object.keys(starters).join(', ')}`);
}

/** Starts a browser without a site: resolves to it and to what stops it. */
export const startBrowser = (engine, options = {}) => starters[engine](options);

/** How long one test may take, in ms. */
export const limit = { timeout: 30_000 };

export class Tab {
  constructor(engine) {
    this.engine = engine;
    this.pages = new Map(); // From host to the promise of a page.
  }

  /** Starts everything; third-party cookies are allowed, as in Chrome, unless it says otherwise. */
  async start({ backends, configure = configuration, thirdPartyCookies = true } = {}) {
    this.site = await startSurroundings(backends);
    this.gateway = await startUsher(this.site, configure(this.site));
    const { browser, stop, sleep } = await startBrowser(this.engine, { spki: this.site.spki, thirdPartyCookies });
    Object.assign(this, { browser, stopBrowser: stop, sleep });
  }

  async stop() {
    await this.browser?.disconnect();
    await this.stopBrowser?.();
    await this.gateway?.stop();
    await this.site?.stop();
  }

  /** The page at `host`, which is opened where it is not yet. */
  page(host = 'app.test') {
    if (!this.pages.has(host)) this.pages.set(host, this.open({ host }));
    return this.pages.get(host);
  }

  /** Opens a page of the application, with Socket.IO's client if `io`. */
  async open({ host = 'app.test', io = false, from = this.browser } = {}) {
    const page = await from.newPage();
    await page.goto(`${this.site.origin(host)}/page${io ? '?io' : ''}`);
    return page;
  }

  /** A page with cookies and passwords of its own; close it after use. */
  async stranger() {
    const context = await this.browser.createBrowserContext();
    return { page: await this.open({ from: context }), close: () => context.close() };
  }

  /** Has the application set cookies: each a value of Set-Cookie. */
  async setCookies(cookies, page) {
    const query = new URLSearchParams(cookies.map((cookie) => ['cookie', cookie]));
    await (page ?? await this.page()).goto(`${this.site.origin()}/page?${query}`);
  }

  /**
   * Opens a WebSocket from a page, beside the application's own subprotocol. The
   * plan is that of attempt, but for `path`, `query`, `userinfo` and `host`,
   * which make the address, and for `cookies`, which are set before.
   */
  async attempt({ path, query, userinfo, host, cookies, ...plan }, page) {
    if (cookies) await this.setCookies(cookies, page);
    const url = this.gateway.socket(path, { query, userinfo, host });
    return (page ?? await this.page()).evaluate(attempt, { protocols: ['chat.v1'], url, ...plan });
  }

  /** Fetches from the gateway, as the application's page. */
  async ask(path, options, page) {
    return (page ?? await this.page()).evaluate(ask, { url: `${this.gateway.origin()}${path}`, options });
  }

  /** A token of ann's. */
  token(claims) {
    return this.noted(token(this.site, claims));
  }

  /** Notes that a secret is used: it must be in no log. */
  noted(secret) {
    this.site.secrets.add(secret);
    return secret;
  }

  /** Fetches a ticket for a route, as a page does that has a token. */
  async ticket(route, { claims, page } = {}) {
    const options = { method: 'POST', headers: { Authorization: `Bearer ${this.token(claims)}` } };
    const answer = await this.ask(`/usher/v1/tickets?${new URLSearchParams({ route })}`, options, page);
    if (answer.status !== 200) throw new Error(`no ticket: ${JSON.stringify(answer)}`);
    return this.noted(JSON.parse(answer.text).ticket);
  }
}
