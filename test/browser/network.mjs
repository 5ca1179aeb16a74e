// A network between pages and the gateway that can be cut, go dead, and lead to
// another gateway at the same address.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Network {
  #sockets = new Set();
  #dead = false;

  /** Opens a network that leads to a port of this machine. */
  static async open(to) {
    const network = new Network();
    network.to = to;
    network.server = createServer((from) => network.#pass(from));
    network.server.listen(0, '127.0.0.1');
    await once(network.server, 'listening');
    network.port = network.server.address().port;
    return network;
  }

  #pass(from) {
    this.#keep(from);
    if (this.to === null) return from.resetAndDestroy();
    const to = this.#keep(connect({ port: this.to, host: '127.0.0.1' }));
    for (const [one, other] of [[from, to], [to, from]]) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.on('data', (bytes) => !this.#dead && other.write(bytes));
    }
  }

  #keep(socket) {
    this.#sockets.add(socket.setNoDelay(true));
    return socket.on('close', () => this.#sockets.delete(socket)).on('error', () => {});
  }

  /** Ends all that goes through it now. */
  cut() {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Loses what is sent from now on, without a word, or no more; what goes through it then is of no use. */
  set dead(is) {
    this.#dead = is;
    if (!is) this.cut();
  }

  close() {
    this.server.close();
    this.cut();
  }
}
