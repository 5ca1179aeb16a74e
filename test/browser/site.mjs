// The site under test: the Go program in server/, and what its record says.
import { execFileSync } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { start } from './engines/process.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const program = fileURLToPath(new URL('../../bin/browsersite', import.meta.url));

/** Builds the site, which costs nothing the second time, and starts it. */
export async function startSite() {
  execFileSync('go', ['build', '-o', program, './test/browser/server'], { cwd: root, stdio: 'inherit' });
  const { match, stop } = await start(program, [], { ready: /^(\{.*\})$/m });
  return new Site(JSON.parse(match[1]), stop);
}

class Site {
  constructor(ready, stop) {
    Object.assign(this, ready);
    this.stop = stop;
  }

  /** The origin of a page at `host`. */
  origin(host = 'app.test', port = this.port) {
    return `https://${host}:${port}`;
  }

  /** The address of a WebSocket at app.test, with `query` and `userinfo` if any. */
  socket(path, { query = {}, userinfo = '' } = {}) {
    const text = new URLSearchParams(query).toString();
    return `wss://${userinfo && `${userinfo}@`}app.test:${this.port}${path}${text && `?${text}`}`;
  }

  /** All that happened so far. */
  async record() {
    const answer = await fetch(this.control);
    const { visits, runs, events } = await answer.json();
    return { visits: visits ?? [], runs: runs ?? [], events: events ?? [] };
  }

  /** The runs of the handler at `path`. */
  async runs(path) {
    return (await this.record()).runs.filter((run) => run.path === path);
  }

  /** The requests that came to `path`, refused ones too. */
  async visits(path) {
    return (await this.record()).visits.filter((visit) => visit.path === path);
  }

  /** Asks until `look` finds something in the record, for 5 s at most. */
  async until(look, what) {
    const limit = Date.now() + 5000;
    for (;;) {
      const found = look(await this.record());
      if (found) return found;
      if (Date.now() > limit) throw new Error(`not in the record after 5 s: ${what}`);
      await pause(20);
    }
  }
}
