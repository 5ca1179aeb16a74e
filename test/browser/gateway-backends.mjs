// The backends behind the gateway, each behind a tap: servers in several
// languages that know nothing of Usher.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Program, until } from './gateway-program.mjs';
import { Tap } from './gateway-tap.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const file = (name) => fileURLToPath(new URL(`backends/${name}`, import.meta.url));

/** The backends that repeat what they are told. */
export const echoes = ['node', 'python', 'go'];

const commands = {
  node: () => [process.execPath, file('node.mjs')],
  counter: () => [process.execPath, file('counter.mjs')],
  socketio: () => [process.execPath, file('socketio.mjs')],
  python: () => [findPython(), file('python.py')],
  go: () => {
    const program = fileURLToPath(new URL('../../bin/browserbackend', import.meta.url));
    execFileSync('go', ['build', '-o', program, './test/browser/backends/go'], { cwd: root, stdio: 'pipe' });
    return [program];
  },
};

/** A Python that has websockets; Debian's may not be the first in the path. */
function findPython() {
  for (const python of ['python3', '/usr/bin/python3']) {
    try {
      execFileSync(python, ['-c', 'import websockets'], { stdio: 'pipe' });
      return python;
    } catch {
      // The next one, then.
    }
  }
  throw new Error('no Python 3 with websockets; Debian has it as python3-websockets');
}

/** Starts backends; resolves to them by name. */
export async function startBackends(names) {
  const all = await Promise.all(names.map(async (name) => [name, await Backend.start(name)]));
  return Object.fromEntries(all);
}

class Backend {
  static async start(name) {
    const backend = new Backend();
    const [command, ...args] = commands[name]();
    backend.name = name;
    backend.program = new Program(command, args, { from: 'stdout' });
    const { port } = await backend.program.event(({ event }) => event === 'listening', 'listening');
    backend.port = port;
    backend.tap = await Tap.open(port);
    return backend;
  }

  /** The WebSockets at `path` that the backend itself tells of. */
  sockets(path) {
    const { events } = this.program;
    return events.filter(({ event, path: at }) => event === 'open' && at.split('?')[0] === path).map(({ id, ...open }) => {
      const own = events.filter((event) => event.id === id);
      const { code, reason, seen } = own.find(({ event }) => event === 'close') ?? {};
      return {
        ...open,
        messages: own.filter(({ event }) => event === 'message').map(({ text }) => text),
        pings: own.filter(({ event }) => event === 'ping' || event === 'pong').length,
        code,
        reason,
        seen,
      };
    });
  }

  /** The one WebSocket at `path`, once it is over. */
  async over(path) {
    await until(() => this.sockets(path).some(({ code }) => code !== undefined), () => (
      `the end of ${path} at ${this.name}:\n${this.program.text}`
    ));
    const all = this.sockets(path);
    if (all.length !== 1) throw new Error(`${this.name} has ${all.length} WebSockets at ${path}, and not one`);
    return all[0];
  }

  async stop() {
    this.tap.close();
    await this.program.stop();
  }
}
