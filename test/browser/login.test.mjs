// People log in at a real OpenID provider, and are out when they have logged out,
// here or there: with what the guide on it has its readers write.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { concealed } from './expect.mjs';
import { until } from './gateway-program.mjs';
import { engines, limit, startBrowser } from './gateway-tab.mjs';
import { startGuide } from './login-guide.mjs';

/** The provider's pages have fonts from elsewhere, which nobody waits for. */
const soon = { waitUntil: 'domcontentloaded' };

/** How long the provider's access tokens live, in seconds. */
const access = 5;

// In one engine: what browsers do with cookies is tried elsewhere, in all.
for (const engine of engines.filter((name) => name === 'chromium')) {
  describe(`login, ${engine}`, { timeout: 240_000 }, () => { // It may build the program first.
    let guide;
    let browser;
    let stopBrowser;
    const secrets = new Set();
    before(async () => {
      guide = await startGuide({ access });
      ({ browser, stop: stopBrowser } = await startBrowser(engine, { spki: '' }));
    });
    after(async () => {
      await browser?.disconnect();
      await stopBrowser?.();
      await guide?.stop();
    });

    /** A browser of somebody's own. */
    async function stranger() {
      const context = await browser.createBrowserContext();
      return { context, page: await context.newPage() };
    }

    /** Goes somewhere, and through the provider's forms as `name`, until the page is at `end`. */
    async function visit(page, go, end, name) {
      await go();
      await until(async () => {
        if (page.url() === end) return true;
        if (!page.url().startsWith(guide.provider)) return false;
        // A page that is on its way out has nothing to click any more.
        await page.evaluate((text) => {
          const input = document.querySelector('input[name=login]');
          if (input) input.value = text;
          const password = document.querySelector('input[name=password]');
          if (password) password.value = 'any';
          // Once for each page: the next button of one that takes its time may be "No".
          const button = document.querySelector('button[type=submit]');
          if (!button || 'clicked' in document.documentElement.dataset) return;
          document.documentElement.dataset.clicked = '';
          button.click();
        }, name).catch(() => {});
        return false;
      }, () => `${end}; the page is at ${page.url()}`, 15_000);
    }

    /** Logs in, and resolves once the page's socket is open. */
    async function logIn(page, name) {
      await visit(page, () => page.goto(`${guide.site}/auth/login?return=/`, soon), `${guide.site}/`, name);
      await says(page, `${name} <${name}@example.com>: hello`);
      for (const { name: cookie, value } of await page.cookies(guide.site)) {
        if (cookie === 'session') secrets.add(value);
      }
    }

    /** Waits until the page has written this. */
    const says = (page, text, within = 10_000) => until(
      async () => (await page.$eval('#log', ({ textContent }) => textContent).catch(() => '')).includes(text), `the page says ${text}`, within,
    );

    it('keeps out who has not logged in', limit, async () => {
      const { context, page } = await stranger();
      await page.goto(guide.site);
      await says(page, 'closed: 4401 unauthenticated');
      await context.close();
    });

    it('ends a socket within a second of a logout at the provider', limit, async () => {
      const { context, page } = await stranger();
      await logIn(page, 'ann');
      const other = await stranger();
      await logIn(other.page, 'ben');
      const tab = await context.newPage();
      await tab.goto(`${guide.provider}/session/end`, soon);
      const since = guide.usher.events.length;
      await tab.click('button[type=submit]');
      await says(page, 'closed: 4401 revoked', 5000);
      // By the gateway's clock: how long a page is in showing it is up to the machine.
      const time = async (word) => Date.parse((await guide.usher.event(({ msg }) => msg === word, word, since)).time);
      const took = await time('ended') - await time('logged out at the provider');
      assert.ok(took < 1000, `it took ${took} ms`);
      // The cookie is there still, and is worth nothing.
      await page.goto(guide.site);
      await says(page, 'closed: 4401 revoked');
      assert.ok(!(await other.page.$eval('#log', ({ textContent }) => textContent)).includes('closed'), 'another session goes on');
      await Promise.all([context.close(), other.context.close()]);
    });

    it('logs out here, and at the provider', limit, async () => {
      const { context, page } = await stranger();
      await logIn(page, 'cat');
      const second = await context.newPage();
      await second.goto(guide.site);
      await says(second, 'cat <');
      await visit(page, async () => {
        await page.bringToFront();
        await page.click('form button');
        await until(() => page.url().startsWith(guide.provider), 'the page is at the provider');
      }, `${guide.site}/`);
      await says(second, 'closed: 4401 revoked');
      await page.goto(guide.site);
      await says(page, 'closed: 4401 unauthenticated');
      const cookies = (await page.cookies(guide.site)).map(({ name }) => name);
      assert.ok(!cookies.includes('session'), `got cookies ${cookies}`);
      // The provider does not let the next one in as cat.
      await logIn(page, 'dan');
      await context.close();
    });

    it('stays beyond the access token, as long as the provider says', { timeout: 40_000 }, async () => {
      const { context, page } = await stranger();
      await logIn(page, 'eve');
      const asked = () => guide.usher.events.filter(({ msg }) => msg === 'may stay').length;
      await until(() => asked() >= 2, 'two refreshes', 3 * access * 1000);
      assert.ok(!(await page.$eval('#log', ({ textContent }) => textContent)).includes('closed'), 'the socket is open');
      await guide.block('eve');
      await says(page, 'closed: 4401', 2 * access * 1000);
      await context.close();
    });

    it('told nobody a secret', () => {
      assert.ok(secrets.size >= 5, 'there are cookies to look for');
      concealed(guide.told, [...secrets]);
    });
  });
}
