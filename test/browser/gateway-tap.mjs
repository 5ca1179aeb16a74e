// A tap between the gateway and a backend: it passes bytes on, and keeps those
// that the gateway sent. What is not in it, the backend was not told.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Tap {
  /** Opens a tap in front of a port of this machine. */
  static async open(port) {
    const tap = new Tap();
    tap.connections = []; // Of each what the gateway sent, a character for a byte.
    tap.sockets = new Set();
    tap.server = createServer({ allowHalfOpen: true }, (from) => tap.pass(from, port));
    tap.server.listen(0, '127.0.0.1');
    await once(tap.server, 'listening');
    tap.port = tap.server.address().port;
    return tap;
  }

  pass(from, port) {
    const connection = { text: '' };
    this.connections.push(connection);
    const to = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    for (const [one, other] of [[from, to], [to, from]]) {
      this.sockets.add(one);
      one.setNoDelay(true);
      one.on('error', () => other.destroy());
      one.on('close', () => this.sockets.delete(one));
      one.pipe(other);
    }
    from.on('data', (bytes) => {
      connection.text += bytes.toString('latin1');
    });
  }

  /** The requests that came, as Requests. */
  requests() {
    return this.connections.flatMap(({ text }) => {
      const all = [];
      for (let rest = text; rest.includes('\r\n\r\n');) {
        const end = rest.indexOf('\r\n\r\n');
        const request = new Request(rest.slice(0, end));
        all.push(request);
        rest = rest.slice(end + 4);
        if (request.all('upgrade').length > 0) break; // Frames follow.
      }
      return all;
    });
  }

  /** The requests for `path`, whatever their query is. */
  at(path) {
    return this.requests().filter((request) => request.target.split('?')[0] === path);
  }

  /** All that came, to be searched. */
  text() {
    return this.connections.map(({ text }) => text).join('\n');
  }

  close() {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
  }
}

/** The head of a request, as it came. */
class Request {
  constructor(head) {
    const [line, ...fields] = head.split('\r\n');
    this.head = head;
    [this.method, this.target] = line.split(' ');
    this.fields = fields.map((field) => {
      const colon = field.indexOf(':');
      return [field.slice(0, colon), field.slice(colon + 1).trim()];
    });
  }

  /**
   * The values of a header in any spelling: what is no letter or digit is the
   * same, as it is to a server that makes variables of its headers.
   */
  all(name) {
    const plain = (text) => text.toLowerCase().replace(/[^a-z0-9]/g, '-');
    return this.fields.filter(([field]) => plain(field) === plain(name)).map(([, value]) => value);
  }
}
