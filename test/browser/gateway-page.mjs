// What runs inside of the page where a WebSocket outlives one question to it.
// Puppeteer carries each function into the page as text, so none uses anything
// from outside.

/** Opens a WebSocket that says a number every 20 ms; resolves once it is open. */
export function hold({ name, url }) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, ['chat.v1']);
    const held = { socket, replies: [] };
    window.held = { ...window.held, [name]: held };
    let next = 0;
    let ticker;
    socket.onopen = () => {
      ticker = setInterval(() => socket.readyState === WebSocket.OPEN && socket.send(String(next++)), 20);
      resolve();
    };
    socket.onmessage = ({ data }) => held.replies.push(data);
    held.ended = new Promise((over) => {
      socket.onclose = ({ code, reason, wasClean }) => {
        clearInterval(ticker);
        over({ code, reason, clean: wasClean, unsent: socket.bufferedAmount, at: Date.now() });
        reject(new Error(`${code} ${reason}`));
      };
    });
  });
}

/** Resolves to what came back so far, once `more` messages more have. */
export function replies({ name, more = 0 }) {
  const { replies: all } = window.held[name];
  const wanted = all.length + more;
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`${all.length} replies, and not ${wanted}`)), 5000);
    const look = () => {
      if (all.length < wanted) return setTimeout(look, 10);
      clearTimeout(limit);
      return resolve([...all]);
    };
    look();
  });
}

/** Resolves to how a WebSocket ended, and closes it first if `close`. */
export function ending({ name, close = false }) {
  if (close) window.held[name].socket.close(1000);
  return window.held[name].ended;
}

/**
 * Connects with Socket.IO's own client, by WebSocket alone, and resolves to what
 * it saw until the connection was over. It says each of `say`, and then stays if
 * `stay`, else it leaves.
 */
export function socketio({ url, path, query, say = [], stay = false }) {
  return new Promise((resolve) => {
    const socket = io(url, { path, query, transports: ['websocket'], reconnection: false, forceNew: true });
    window.socket = socket;
    const seen = { connected: false, replies: [] };
    socket.on('connect', async () => {
      seen.connected = true;
      for (const text of say) seen.replies.push(await socket.timeout(5000).emitWithAck('say', text));
      window.ready = true;
      if (!stay) socket.disconnect();
    });
    socket.on('disconnect', (reason) => {
      seen.disconnect = reason;
    });
    socket.io.engine.on('close', (reason, details) => {
      const { code, reason: text } = details?.context ?? {};
      setTimeout(() => resolve({ ...seen, code, reason: text, at: Date.now() }), 0);
    });
  });
}

/** Connects the same client again, with another query. */
export function socketioAgain({ query, text }) {
  const { socket } = window;
  socket.io.opts.query = query;
  return new Promise((resolve, reject) => {
    socket.once('connect_error', reject);
    socket.once('connect', async () => {
      const reply = await socket.timeout(5000).emitWithAck('say', text);
      socket.disconnect();
      resolve(reply);
    });
    socket.connect();
  });
}
