// The page of "usher demo": each way in and each refusal that it offers, as a
// visitor tries them, and what it says became of them.
import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { engines, startBrowser } from './gateway-tab.mjs';
import { Program, until } from './gateway-program.mjs';

const usher = fileURLToPath(new URL('../../bin/usher', import.meta.url));
const patient = { timeout: 120_000 }; // Tokens of ten seconds are waited for.

/** What the page says of the last attempt. */
const verdict = () => {
  const text = (id) => document.getElementById(id).textContent;
  const { state } = document.getElementById('verdict').dataset;
  return { state, title: text('verdict-title'), text: text('verdict-text'), saw: text('js'), lines: text('lines') };
};

/** Presses a button of the chosen way: the first of a group whose words begin so. */
const press = ([group, words]) => {
  [...document.querySelectorAll(`#${group} button`)].find((one) => one.textContent.startsWith(words)).click();
};

/** The names of the buttons that a way has: [to come in, to be refused with what]. */
const offered = (way) => {
  document.querySelector(`[data-way="${way}"]`).click();
  const words = (selector) => [...document.querySelectorAll(selector)].map((one) => one.firstChild.textContent);
  return [words('#admit button'), [...document.querySelectorAll('#refuse button')].map((one) => [one.firstChild.textContent, one.querySelector('.want')?.textContent ?? ''])];
};

for (const engine of engines) {
  describe(`the demo, ${engine}`, { timeout: 240_000 }, () => {
    let program;
    let browser;
    let stop;
    let home;
    before(async () => {
      program = new Program(usher, ['demo', '--listen', '127.0.0.1:0'], {});
      await until(() => /another site.*\n/.test(program.text), 'the demo');
      [, home] = /demo page: (\S+)/.exec(program.text);
      ({ browser, stop } = await startBrowser(engine));
    });
    after(async () => {
      await browser?.disconnect();
      await stop?.();
      await program?.stop();
    });

    /** Visitors come and go one after the other: Firefox cannot open a tab while another is closed. */
    let latest = Promise.resolve();
    const inTurn = (step) => {
      const next = latest.then(step);
      latest = next.catch(() => {});
      return next;
    };

    /** A visitor with cookies, passwords and connections of its own. */
    const visit = (t, way) => inTurn(() => arrive(t, way));

    async function arrive(t, way) {
      const context = await browser.createBrowserContext();
      t.after(() => inTurn(() => context.close()));
      const page = await context.newPage();
      await page.goto(home);
      await until(() => page.evaluate(() => document.body.dataset.ready), 'the page', 20_000);
      return { page, ways: await page.evaluate(offered, way) };
    }

    /** Presses a button, and waits for a verdict of these states that `good` accepts. */
    async function tried(page, group, words, good, states) {
      await page.evaluate(press, [group, words]);
      let seen;
      await until(async () => {
        seen = await page.evaluate(verdict);
        return states.includes(seen.state) && good(seen);
      }, () => `${words}: ${JSON.stringify(seen)}`, 40_000);
      return seen;
    }

    const comeIn = async (page, words) => {
      const seen = await tried(page, 'admit', words, ({ saw }) => saw.length > 0, ['open', 'ended']);
      assert.match(seen.saw, /connect\(|new WebSocket\(|fetch\(/);
      return seen;
    };

    /** Tries all that a way offers. */
    async function all(t, way) {
      const { page, ways: [admit, refuse] } = await visit(t, way);
      assert.ok(refuse.length > 0);
      for (const words of admit) {
        if (words === 'Copy as curl') continue; // The clipboard is the visitor's.
        await comeIn(page, words);
      }
      if (admit.length > 0) await page.evaluate(() => document.getElementById('leave').click());
      for (const [words, want] of refuse) {
        // A browser remembers a good password, as the page says.
        if (way === 'basic' && (words === 'No password' || engine === 'firefox')) continue;
        const codes = want.split(' or ');
        const seen = await tried(page, 'refuse', words, ({ title, saw, text }) => codes.some((code) => `${title} ${saw} ${text}`.includes(code)), ['refused', 'ended']);
        assert.doesNotMatch(seen.title, /worked/);
      }
    }

    // Alone: it takes two handshakes, and Firefox makes one at a time to an address.
    it('basic', patient, (t) => all(t, 'basic'));

    // All at once: they do little but wait.
    describe('each other way', { concurrency: true }, () => {
      for (const way of ['ticket', 'subprotocol', 'first-message', 'cookie', 'query', 'bearer', 'two', 'other']) it(way, patient, (t) => all(t, way));

      it('who is banned is told so, and who is nobody is not tried', patient, async (t) => {
        const { page } = await visit(t, 'ticket');
        await page.evaluate(() => document.querySelector('[data-user="mallory"]').click());
        await until(() => page.evaluate(() => document.querySelector('[data-user="mallory"]').ariaPressed === 'true'), 'the login');
        await tried(page, 'admit', 'In the query', ({ title }) => /403/.test(title), ['refused']);
        await page.evaluate(() => document.querySelector('[data-user=""]').click());
        await until(() => page.evaluate(() => document.querySelector('[data-user=""]').ariaPressed === 'true'), 'the logout');
        await tried(page, 'admit', 'In the query', ({ title }) => /nobody/.test(title), ['untried']);
      });

      it('with the client a chat outlives its token', patient, async (t) => {
        const { page } = await visit(t, 'ticket');
        await tried(page, 'admit', 'Stay', ({ saw }) => saw.split('nothing was interrupted').length > 2, ['open']);
        await page.evaluate(() => {
          document.getElementById('text').value = 'still here';
          document.getElementById('say').requestSubmit();
        });
        await until(async () => (await page.evaluate(verdict)).lines.includes('still here'), 'the chat');
      });
    });
  });
}
