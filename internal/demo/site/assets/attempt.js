// One attempt to come in: the sockets it opens and what JavaScript saw of it.

import { connect } from './usher-client.js';

const kept = 40; // Of what JavaScript saw; an attempt that is renewed has no end.

// The close codes of Usher, and what a client should do at each.
export const codes = {
  1000: 'you left',
  1001: 'the server is ending; reconnect elsewhere',
  1006: 'no code reached JavaScript: the handshake was refused, or the network broke',
  1011: 'a fault of the server; wait, then reconnect',
  4401: 'get a fresh credential, then reconnect',
  4403: 'stop: a fresh credential would not help',
  4408: 'no first message came in time; reconnect',
  4429: 'too many; wait, then reconnect',
  4503: 'it could not be decided; wait, then reconnect',
};

function mark() {
  const bytes = crypto.getRandomValues(new Uint8Array(5));
  return Array.from(bytes, (b) => 'abcdefghijkmnpqrstuvwxyz23456789'[b % 32]).join('');
}

export class Attempt {
  constructor(carrier, label, prefix, changed) {
    this.id = mark();
    this.carrier = carrier;
    this.label = label;
    this.prefix = prefix; // Of the paths of the backend that is behind.
    this.saw = []; // What JavaScript saw, as { text, tone }.
    this.state = 'trying'; // trying, open, refused, ended, untried
    this.outcome = '';
    this.foreign = false; // Whether another origin makes it.
    this.ends = 0; // When its token ends, if that is soon.
    this.changed = changed;
  }

  /** Writes down what JavaScript saw or did. */
  note(text, tone = '') {
    this.saw.push({ text, tone });
    if (this.saw.length > kept) this.saw.splice(1, 1);
    this.changed(this);
  }

  /** Ends the attempt with a word about it. */
  settle(state, outcome) {
    this.state = state;
    this.outcome = outcome;
    this.changed(this);
  }

  /**
   * Comes in by the client, and stays: it renews the session, and comes back.
   * What is shown is `shown`, as a page would write it.
   */
  enter({ path, shown, ...options }, chat) {
    this.note(`connect("${this.prefix}${path}", ${shown})`, 'code');
    const mark = `?try=${this.id}`;
    const socket = connect(`${this.prefix}${path}${mark}`, {
      route: this.prefix + path, desk: `/usher/v1/tickets${mark}`, renewal: `/usher/v1/sessions/renew${mark}`, ...options,
    });
    chat.hold(socket);
    let came = false; // At least once.
    let ready = false;
    socket.addEventListener('open', () => this.note(`open, protocol "${socket.protocol}"`, 'good'));
    socket.addEventListener('message', (e) => {
      if (!ready) {
        came = ready = true;
        this.settle('open', '');
        chat.open(socket, this);
      }
      chat.message(socket, JSON.parse(e.data));
    });
    socket.addEventListener('renew', ({ expires_in: seconds }) => this.note(`renewed for ${seconds} s, and nothing was interrupted`, 'good'));
    socket.addEventListener('down', ({ error, wait }) => {
      ready = false;
      chat.close(socket);
      this.note(`down: ${error.message}; again in ${Math.round(wait)} ms`, 'bad');
      this.settle('trying', `Comes back: ${error.word}`);
    });
    socket.addEventListener('close', ({ error }) => {
      chat.close(socket);
      this.note(error ? `over: ${error.message}` : 'over', error ? 'bad' : '');
      const why = error && `${error.code || error.status || ''} ${error.word}`.trim();
      if (came) this.settle('ended', error ? `Ended: ${why}` : 'You left');
      else if (error) this.settle('refused', `Refused: ${why}`);
      else this.settle('ended', 'You left');
    });
  }

  /**
   * Opens a socket of the platform's, as one who breaks in does. What is shown is `display`, where the credential is masked.
   * `first` is sent when it is open. `onOpen` and `onMessage` serve the chat.
   */
  connect({ path, query = {}, protocols = ['chat.v1'], userinfo = '', first, display = {} }, chat) {
    const params = new URLSearchParams({ ...query, try: this.id });
    const shown = new URLSearchParams({ ...query, ...display.query, try: this.id });
    this.note(`new WebSocket("${display.userinfo || ''}${this.prefix}${path}?${decodeURIComponent(shown)}", ${JSON.stringify(display.protocols || protocols)})`, 'code');
    let socket;
    try {
      socket = new WebSocket(`ws://${userinfo}${location.host}${this.prefix}${path}?${params}`, protocols);
    } catch (err) {
      this.note(`${err.name}: the browser would not even try`, 'bad');
      this.settle('refused', 'The browser itself refused');
      return null;
    }
    let opened = false;
    let ready = false;
    const come = () => {
      ready = true;
      this.settle('open', '');
      chat.open(socket, this);
    };
    socket.addEventListener('open', () => {
      opened = true;
      this.note(`open, protocol "${socket.protocol}"`, 'good');
      if (first !== undefined) {
        socket.send(first);
        this.note(`send(${display.first})`, 'code');
      }
    });
    socket.addEventListener('message', (e) => {
      // What comes first is from the backend, so this is the moment of
      // admission; "open" is not, where a first message decides or where a
      // refusal is told by a close code.
      if (!ready && e.data.includes('"auth_ok"')) {
        this.note('message {"type":"auth_ok", …}', 'good');
        return;
      }
      if (!ready) come();
      chat.message(socket, JSON.parse(e.data));
    });
    socket.addEventListener('error', () => this.note('error, which says nothing', 'bad'));
    socket.addEventListener('close', (e) => {
      chat.close(socket);
      this.note(`close ${e.code}${e.reason ? ` "${e.reason}"` : ''}`, e.code === 1000 ? '' : 'bad');
      if (codes[e.code]) this.note(codes[e.code], 'aside');
      const word = e.reason.split(' ')[0];
      if (ready && (e.code === 1000 || e.code === 1005)) {
        if (this.state === 'open') this.settle('ended', 'You left');
      } else if (ready) {
        this.settle('ended', `Ended: ${e.code} ${word}`.trim());
      } else {
        this.settle('refused', opened ? `Refused: ${e.code} ${word}`.trim() : 'Refused in the handshake: 1006');
      }
    });
    return socket;
  }
}
