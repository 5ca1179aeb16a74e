// WebKitGTK's small browser, driven by WebDriver under a display of its own. It
// has the part of Puppeteer's interface that the tests need. It is not Safari:
// network, cookies and close codes are of libraries that Safari does not have.
import { once } from 'node:events';
import { createServer } from 'node:net';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freshProfile, start } from './process.mjs';

const browserFile = process.env.WEBKIT || '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser';
const element = 'window-handle';

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/**
 * Starts the browser with a fresh profile; every certificate is accepted. Names
 * are looked up as the system does: they must be in /etc/hosts.
 */
export async function startWebKit() {
  const profile = freshProfile('webkit');
  mkdirSync(join(profile, 'run'), { mode: 0o700 });
  const port = await freePort();
  const { stop, sleep } = await start('xvfb-run', [
    '--auto-servernum', 'dbus-run-session', '--', 'sh', '-c',
    `WebKitWebDriver --port=${port} & echo started; wait`,
  ], {
    ready: /started/,
    profile,
    env: {
      HOME: profile, XDG_RUNTIME_DIR: join(profile, 'run'), WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
      WEBKIT_DISABLE_DMABUF_RENDERER: '1', LIBGL_ALWAYS_SOFTWARE: '1', NO_AT_BRIDGE: '1',
    },
  });
  try {
    return { browser: await Browser.open(`http://127.0.0.1:${port}`), stop, sleep };
  } catch (err) {
    await stop();
    throw err;
  }
}

class Browser {
  #queue = Promise.resolve(); // The driver does one thing at a time.
  #now;

  static async open(driver) {
    const browser = new Browser();
    const body = { capabilities: { alwaysMatch: {
      acceptInsecureCerts: true,
      'webkitgtk:browserOptions': { binary: browserFile, args: ['--automation'] },
    } } };
    for (let tries = 0; ; tries++) {
      try {
        const { sessionId, capabilities } = await call(`${driver}/session`, 'POST', body);
        browser.session = `${driver}/session/${sessionId}`;
        browser.name = `WebKitGTK ${capabilities.browserVersion}`;
        browser.home = await browser.command(null, 'GET', '/window'); // Others are opened from it.
        return browser;
      } catch (err) {
        if (tries === 50 || !/fetch failed/.test(err.message)) throw err;
        await new Promise((resolve) => setTimeout(resolve, 100)); // It is not up yet.
      }
    }
  }

  version() {
    return this.name;
  }

  async newPage() {
    const { handle } = await this.command(this.home, 'POST', '/window/new', { type: 'tab' });
    return new Page(this, handle);
  }

  /** Sends a command to a window. */
  command(handle, method, path, body) {
    const next = this.#queue.then(async () => {
      if (handle && handle !== this.#now) {
        await call(`${this.session}/window`, 'POST', { handle });
        this.#now = handle;
      }
      return call(this.session + path, method, body);
    });
    this.#queue = next.catch(() => {});
    return next;
  }

  async disconnect() {
    await call(this.session, 'DELETE').catch(() => {});
  }
}

class Page {
  static #calls = 0;

  constructor(browser, handle) {
    Object.assign(this, { browser, [element]: handle });
  }

  #do(method, path, body) {
    return this.browser.command(this[element], method, path, body);
  }

  goto(url) {
    return this.#do('POST', '/url', { url: String(url) });
  }

  goBack() {
    return this.#do('POST', '/back', {});
  }

  /** Calls a function in the page, and waits for what it returns. */
  async evaluate(f, ...args) {
    const id = `call${Page.#calls++}`;
    const begin = `
      window.usherCalls ??= {};
      const args = arguments[0];
      Promise.resolve().then(() => (${f})(...args)).then(
        (value) => { window.usherCalls.${id} = { value }; },
        (error) => { window.usherCalls.${id} = { error: String(error) }; });`;
    await this.#do('POST', '/execute/sync', { script: begin, args: [args] });
    for (;;) {
      const script = `const over = window.usherCalls?.${id}; return over ? JSON.stringify(over) : null;`;
      const over = await this.#do('POST', '/execute/sync', { script, args: [] });
      if (over) {
        const { value, error } = JSON.parse(over);
        if (error) throw new Error(error);
        return value;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  bringToFront() {
    return this.#do('GET', '/title');
  }

  close() {
    return this.#do('DELETE', '/window').catch(() => {});
  }
}

async function call(url, method, body) {
  const answer = await fetch(url, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (!answer.ok) throw new Error(`WebDriver: ${value.error}: ${value.message}`);
  return value;
}
