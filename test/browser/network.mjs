// A network between clients and a server that can be cut, half closed, stalled,
// go dead, and lead to another server at the same address.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';

export class Network {
  #links = new Set(); // Each the client's socket and the server's.
  #dead = false;

  /** Opens a network that leads to a port of this machine, and takes `delay` ms each way. */
  static async open(to, { delay = 0 } = {}) {
    const network = new Network();
    Object.assign(network, { to, delay });
    network.server = createServer({ allowHalfOpen: true }, (from) => network.#pass(from));
    network.server.listen(0, '127.0.0.1');
    await once(network.server, 'listening');
    network.port = network.server.address().port;
    return network;
  }

  #pass(client) {
    client.on('error', () => {});
    if (this.to === null) return client.resetAndDestroy();
    const link = { client, server: connect({ port: this.to, host: '127.0.0.1', allowHalfOpen: true }) };
    this.#links.add(link);
    for (const [from, to] of [[client, link.server], [link.server, client]]) {
      from.setNoDelay(true);
      from.on('data', (bytes) => this.#dead || this.#later(() => to.writable && to.write(bytes)));
      from.on('end', () => this.#dead || this.#later(() => to.end()));
      from.on('error', () => to.destroy());
      from.on('close', () => {
        to.destroySoon();
        this.#links.delete(link);
      });
    }
  }

  #later(pass) {
    if (this.delay > 0) setTimeout(pass, this.delay);
    else pass();
  }

  /** Ends all that goes through it now. */
  cut() {
    for (const { client, server } of this.#links) for (const socket of [client, server]) socket.resetAndDestroy();
  }

  /** Ends one direction of what goes through it now (FIN): "up" is to the server, "down" to the client. */
  half(way) {
    for (const { client, server } of this.#links) (way === 'up' ? server : client).end();
  }

  /** Has what goes through it now stand still in one direction, without a word. */
  stall(way) {
    for (const { client, server } of this.#links) (way === 'up' ? client : server).pause();
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
