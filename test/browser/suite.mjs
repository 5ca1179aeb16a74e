// A suite for each engine that USHER_BROWSERS names, each with a site and a
// browser of its own, one after the other.
import { after, before, describe } from 'node:test';
import { ask, attempt } from './attempt.mjs';
import { startChromium } from './engines/chromium.mjs';
import { startFirefox } from './engines/firefox.mjs';
import { startSite } from './site.mjs';
import { token } from './tokens.mjs';

const starters = { chromium: startChromium, firefox: startFirefox };

const chosen = (process.env.USHER_BROWSERS || 'chromium,firefox').split(',').map((name) => name.trim());
for (const name of chosen) {
  if (!starters[name]) throw new Error(`USHER_BROWSERS names ${name}; there are ${Object.keys(starters).join(', ')}`);
}

/** How long one test may take, in ms. */
export const limit = { timeout: 60_000 };

/**
 * Defines a suite for each chosen engine of `engines`. `define` gets the Tab
 * that its tests use.
 */
export function suite(title, define, { engines = Object.keys(starters), ...options } = {}) {
  for (const engine of chosen.filter((name) => engines.includes(name))) {
    describe(`${title}, ${engine}`, { timeout: 240_000 }, () => {
      const tab = new Tab(engine);
      before(() => tab.start(options));
      after(() => tab.stop());
      define(tab);
    });
  }
}

/** A browser that visits the site. */
class Tab {
  constructor(engine) {
    this.engine = engine;
    this.pages = new Map(); // From origin to the promise of a page.
  }

  async start(options) {
    this.site = await startSite();
    const { browser, stop } = await starters[this.engine]({ ...options, spki: this.site.spki });
    Object.assign(this, { browser, stopBrowser: stop });
  }

  async stop() {
    await this.browser?.disconnect();
    await this.stopBrowser?.();
    await this.site?.stop();
  }

  /** The page of the site at `host`, which is opened where it is not yet. */
  page(host = 'app.test', port = this.site.port) {
    const origin = this.site.origin(host, port);
    const open = async () => {
      const page = await this.browser.newPage();
      await page.goto(`${origin}/page`);
      return page;
    };
    if (!this.pages.has(origin)) this.pages.set(origin, open());
    return this.pages.get(origin);
  }

  /** Has the site set cookies: each a value of Set-Cookie. */
  async setCookies(cookies, host = 'app.test') {
    const query = new URLSearchParams(cookies.map((cookie) => ['cookie', cookie]));
    await (await this.page(host)).goto(`${this.site.origin(host)}/page?${query}`);
  }

  /** A page with cookies and passwords of its own; close it after use. */
  async stranger() {
    const context = await this.browser.createBrowserContext();
    const page = await context.newPage();
    await page.goto(`${this.site.origin()}/page`);
    return { page, close: () => context.close() };
  }

  /** Opens a WebSocket from the page at `host`, beside the application's own subprotocol. */
  async attempt(plan, host = 'app.test') {
    return (await this.page(host)).evaluate(attempt, { protocols: ['chat.v1'], ...plan });
  }

  /** Fetches from the page at `host`. */
  async ask(path, options, host = 'app.test') {
    return (await this.page(host)).evaluate(ask, { url: `${this.site.origin()}${path}`, options });
  }

  /** Fetches a ticket from the page at `host`, as a page does that has a token. */
  async ticket(route, { desk = '/usher/v1/tickets', host = 'app.test', claims = {} } = {}) {
    const bearer = token(this.site, claims);
    const path = `${desk}?${new URLSearchParams({ route })}`;
    const answer = await this.ask(path, { method: 'POST', headers: { Authorization: `Bearer ${bearer}` } }, host);
    if (answer.status !== 200) throw new Error(`no ticket: ${JSON.stringify(answer)}`);
    return { ...JSON.parse(answer.text), bearer };
  }
}
