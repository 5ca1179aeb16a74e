// The chat: the part that an application would have. It is given sockets that
// are open and shows what comes.

const kept = 100;

export class Chat {
  constructor() {
    this.socket = null;
    this.held = null; // A client that stays, also while it has no connection.
    this.lines = document.getElementById('lines');
    this.form = document.getElementById('say');
    this.text = document.getElementById('text');
    this.leaveButton = document.getElementById('leave');
    this.form.addEventListener('submit', (e) => {
      e.preventDefault();
      if (this.socket && this.text.value.trim()) this.socket.send(this.text.value.trim());
      this.text.value = '';
    });
    this.leaveButton.addEventListener('click', () => this.leave());
    addEventListener('pagehide', () => this.leave());
  }

  /** A socket was admitted; the one before it, if any, is left. */
  open(socket, attempt) {
    if (this.socket && this.socket !== socket) this.socket.close(1000);
    this.socket = socket;
    this.attempt = attempt;
    this.ready(true);
  }

  message(socket, line) {
    if (socket !== this.socket) return;
    const item = document.createElement('p');
    if (line.from) {
      const name = document.createElement('b');
      name.textContent = line.from;
      item.append(name, ` ${line.text}`);
    } else {
      item.className = 'room-says';
      item.textContent = line.text;
    }
    this.lines.append(item);
    while (this.lines.childElementCount > kept) this.lines.firstElementChild.remove();
    this.lines.scrollTop = this.lines.scrollHeight;
  }

  close(socket) {
    if (socket !== this.socket) return;
    this.message(socket, { text: 'the connection ended' });
    this.socket = null;
    this.ready(false);
  }

  /** Has the client end when the chat is left. */
  hold(client) {
    this.held = client;
  }

  leave() {
    this.held?.close(1000);
    this.socket?.close(1000);
    this.held = null;
  }

  ready(yes) {
    // A control that is disabled loses the focus to nobody.
    if (!yes && this.form.contains(document.activeElement)) document.querySelector('#admit button, #refuse button').focus();
    for (const control of this.form.elements) control.disabled = !yes;
    this.text.placeholder = yes ? 'Say something' : 'Come in first';
  }
}
