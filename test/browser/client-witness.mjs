// What watches the client inside of a page: its timers, its promise about events
// and states, and what goes wrong unseen. Carried into the page as text.

/** Watches from before the client is loaded: window.witness. */
export function watch() {
  const witness = { timers: new Set(), trouble: [], broken: [], clients: {} };
  window.witness = witness;
  for (const type of ['unhandledrejection', 'error']) {
    window.addEventListener(type, (event) => witness.trouble.push(String(event.reason ?? event.message)));
  }
  const ours = () => /client\.js/.test(new Error().stack);
  for (const [set, clear] of [['setTimeout', 'clearTimeout'], ['setInterval', 'clearInterval']]) {
    const { [set]: begin, [clear]: end } = window;
    window[set] = (f, ...rest) => {
      const mine = ours();
      const id = begin(() => {
        if (set === 'setTimeout') witness.timers.delete(id);
        f();
      }, ...rest);
      if (mine) witness.timers.add(id);
      return id;
    };
    window[clear] = (id) => {
      witness.timers.delete(id);
      end(id);
    };
  }
}

/** Connects, and holds the client to its promise: which event may follow which, in which state. */
export async function promise({ name, url, options, token }) {
  const { connect } = await import('/client.js');
  const getToken = async (why, signal) => (await fetch(`/token?${new URLSearchParams({ ...token, why })}`, { signal })).json();
  const socket = connect(url, { getToken, backoff: { min: 50, max: 500 }, timeout: 2_000, ...options });
  const one = { socket, counts: {}, last: 'down', errors: [], heard: [] };
  window.witness.clients[name] = one;
  const follows = { open: ['down'], message: ['open', 'message', 'renew'], renew: ['open', 'message', 'renew'], down: ['open', 'message', 'renew', 'down'], close: ['open', 'message', 'renew', 'down'] };
  const states = { open: 1, message: 1, renew: 1, down: 0, close: 3 };
  for (const type of Object.keys(follows)) {
    socket.addEventListener(type, (event) => {
      one.counts[type] = (one.counts[type] ?? 0) + 1;
      const wrong = !follows[type].includes(one.last) && `${type} after ${one.last}`;
      const state = socket.readyState !== states[type] && `state ${socket.readyState} at ${type}`;
      const wait = type === 'down' && !(event.error?.word && event.wait >= 0) && 'down without a reason or a wait';
      for (const broken of [wrong, state, wait]) if (broken) window.witness.broken.push(`${name}: ${broken}`);
      one.last = type;
      if (event.error) one.errors.push(event.error.word);
      if (type === 'message') one.heard.push(event.data);
    });
  }
}

/** Resolves once all clients are open, and each has had an answer to a word. */
export async function alive({ word, within }) {
  const end = Date.now() + within;
  for (const [name, one] of Object.entries(window.witness.clients)) {
    const { socket, heard } = one;
    while (!heard.includes(word)) {
      if (Date.now() > end) throw new Error(`${name} is not back: state ${socket.readyState}, ${one.errors.slice(-5)}`);
      if (socket.readyState === 1) socket.send(word);
      await new Promise((resolve) => { setTimeout(resolve, 100); });
    }
    heard.length = 0;
  }
}

/** Closes all clients; resolves to what was seen and what is left. */
export async function end() {
  const { witness } = window;
  const clients = Object.entries(witness.clients);
  await Promise.all(clients.map(([, { socket }]) => new Promise((resolve) => {
    socket.addEventListener('close', resolve);
    socket.close(1000);
  })));
  await new Promise((resolve) => { setTimeout(resolve, 50); });
  return {
    timers: witness.timers.size, trouble: witness.trouble, broken: witness.broken,
    clients: Object.fromEntries(clients.map(([name, { counts, errors, last, socket }]) => [name, { counts, errors: [...new Set(errors)], last, state: socket.readyState }])),
  };
}

/** How many locks there are in all pages of the origin. */
export async function locks() {
  const { held, pending } = await navigator.locks.query();
  return held.length + pending.length;
}
