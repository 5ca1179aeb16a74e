// What runs inside of a page that uses the client. Puppeteer carries each
// function into the page as text, so none uses anything from outside.

/**
 * Connects with the client, by tokens that the application's /token hands out,
 * or by the page's cookie where `token` is null, and keeps what happens as window.clients[name].
 */
export async function connect({ name, url, options = {}, token = {} }) {
  const client = await import('/client.js');
  window.trouble ??= [];
  if (!window.clients) {
    window.clients = {};
    for (const type of ['unhandledrejection', 'error']) {
      window.addEventListener(type, (event) => window.trouble.push(String(event.reason ?? event.message)));
    }
  }
  const whys = [];
  const getToken = async (why, signal) => {
    whys.push(why);
    const answer = await fetch(`/token?${new URLSearchParams({ ...token, why })}`, { signal });
    if (!answer.ok) throw Object.assign(new Error('logged out'), { status: answer.status });
    return answer.json();
  };
  const socket = client.connect(url, { ...(token && { getToken }), backoff: { min: 50, max: 2000 }, ...options });
  const one = { socket, whys, events: [], messages: [] };
  window.clients[name] = one;
  for (const type of ['open', 'down', 'renew', 'error', 'close']) {
    socket.addEventListener(type, (event) => one.events.push({ type, at: Date.now(), code: event.error?.code ?? event.code, word: event.error?.word, id: event.error?.id, wait: event.wait }));
  }
  socket.addEventListener('message', ({ data }) => one.messages.push(data));
}

/** Resolves to the events of a client once there are so many of a type. */
export function events({ name, type, count = 1, within = 10_000 }) {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`${name}: not ${count} ${type} in ${JSON.stringify(window.clients[name].events)}`)), within);
    const look = () => {
      const { events: all } = window.clients[name];
      if (all.filter((one) => one.type === type).length < count) return setTimeout(look, 10);
      clearTimeout(limit);
      return resolve(all);
    };
    look();
  });
}

/** Sends a message and resolves to the next that comes. */
export function echo({ name, text }) {
  const { socket } = window.clients[name];
  return new Promise((resolve) => {
    socket.addEventListener('message', ({ data }) => resolve(data), { once: true });
    socket.send(text);
  });
}

/** Closes a client; resolves to what is left of it and of the page's trouble. */
export function close(name) {
  const { socket, whys, messages } = window.clients[name];
  return new Promise((resolve) => {
    const done = () => resolve({ state: socket.readyState, whys, messages, trouble: window.trouble });
    if (socket.readyState === 3) return done();
    socket.addEventListener('close', () => setTimeout(done, 0));
    socket.close(1000, 'done');
  });
}

/** Connects in a worker, says a word there, and resolves to what came back. */
export function inWorker({ url }) {
  const source = `
    import { connect } from '${location.origin}/client.js';
    const socket = connect('${url}', { getToken: async () => (await fetch('${location.origin}/token')).json() });
    socket.onopen = () => socket.send('from a worker');
    socket.onmessage = ({ data }) => { postMessage(data); socket.close(); };
    socket.onclose = ({ code, error }) => postMessage(error ? String(error) : 'closed ' + code);
  `;
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' });
  return new Promise((resolve, reject) => {
    const seen = [];
    worker.onerror = ({ message }) => reject(new Error(message || 'the worker does not load'));
    worker.onmessage = ({ data }) => {
      seen.push(data);
      if (seen.length === 2) resolve(seen);
    };
  });
}
