// Programs that the gateway's tests start: each is ended by its process id, and
// none outlives the tests.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';

const running = new Set();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Asks until `look` finds something, for `limit` ms at most. */
export async function until(look, what, limit = 5000) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${limit} ms: ${typeof what === 'function' ? what() : what}`);
    await pause(10);
  }
}

/** The environment without what would configure the gateway, or make. */
export function plainEnvironment() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(USHER_|MAKE|MFLAGS)/.test(name)));
}

/** A program that runs, and what it prints: lines of JSON, and others. */
export class Program {
  /** `from` names the stream with the lines of JSON: "stdout" or "stderr". */
  constructor(file, args, { from, ...options }) {
    this.name = file;
    this.events = []; // The lines of JSON.
    this.text = ''; // All that it printed.
    this.ended = null; // Its exit code, or its signal, once it has ended.
    this.child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'], env: plainEnvironment(), ...options });
    running.add(this.child);
    this.end = new Promise((resolve) => {
      const over = (how) => {
        running.delete(this.child);
        this.ended ??= { how };
        resolve(this.ended.how);
      };
      this.child.once('error', (err) => over(err.message));
      this.child.once('close', (code, signal) => over(code ?? signal));
    });
    this.child.stdin.on('error', () => {}); // It has ended, and says how.
    for (const stream of ['stdout', 'stderr']) {
      createInterface({ input: this.child[stream] }).on('line', (line) => {
        this.text += `${line}\n`;
        if (stream === from && line.startsWith('{')) this.events.push(JSON.parse(line));
      });
    }
  }

  /** Waits for an event that `look` accepts, of those from number `since` on. */
  event(look, what, since = 0) {
    return until(() => {
      const found = this.events.slice(since).find(look);
      if (!found && this.ended) throw new Error(`${this.name} ended (${this.ended.how}), and not: ${what}\n${this.text}`);
      return found;
    }, () => `${what}, of ${this.name}:\n${this.text}`, 10_000);
  }

  signal(name) {
    this.child.kill(name);
  }

  /** Ends it the hard way. */
  async stop() {
    if (!this.ended) this.child.kill('SIGKILL');
    await this.end;
  }
}
