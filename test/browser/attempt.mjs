// What runs inside of the page.

/**
 * Opens a WebSocket as a page would and resolves to what JavaScript saw of it.
 * Puppeteer carries it into the page as text, so it uses nothing from outside.
 *
 * plan.url, plan.protocols  for the constructor
 * plan.send                 messages to send once it is open
 * plan.every                sends "tick" again and again, in ms
 * plan.replies              closes with 1000 after that many messages came;
 *                           otherwise the server closes, or 20 s pass
 */
export function attempt(plan) {
  return new Promise((resolve) => {
    const began = performance.now();
    const seen = { opened: false, protocol: null, messages: [], errors: 0, close: null };
    let socket;
    const over = () => {
      clearTimeout(limit);
      clearInterval(ticker);
      seen.ms = performance.now() - began;
      resolve(seen);
    };
    let ticker;
    const limit = setTimeout(() => {
      seen.hung = true;
      socket.close();
      over();
    }, 20_000);
    try {
      socket = new WebSocket(plan.url, plan.protocols ?? []);
    } catch (err) {
      seen.thrown = err.name;
      over();
      return;
    }
    socket.onopen = () => {
      seen.opened = true;
      seen.openedAfter = performance.now() - began;
      seen.protocol = socket.protocol;
      for (const message of plan.send ?? []) socket.send(message);
      const tick = () => socket.readyState === WebSocket.OPEN && socket.send('tick');
      if (plan.every) ticker = setInterval(tick, plan.every);
    };
    socket.onmessage = (event) => {
      seen.messages.push(event.data);
      if (seen.messages.length === plan.replies) socket.close(1000);
    };
    socket.onerror = () => {
      seen.errors++;
    };
    socket.onclose = (event) => {
      const { code, reason, wasClean: clean } = event;
      seen.close = { code, reason, clean, unsent: socket.bufferedAmount, at: Date.now() };
      over();
    };
  });
}

/**
 * Does the same in a frame that is sandboxed, and so has the origin "null".
 * `text` is the source of attempt.
 */
export function attemptInSandbox({ text, plan }) {
  return new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.sandbox = 'allow-scripts';
    frame.srcdoc = `<script>(${text})(${JSON.stringify(plan)}).then((seen) => parent.postMessage(seen, '*'))</script>`;
    addEventListener('message', (event) => resolve(event.data), { once: true });
    document.body.append(frame);
  });
}

/** Shows another page in a frame, and resolves once it is there. */
export function embed(url) {
  return new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.src = url;
    frame.onload = () => resolve();
    document.body.append(frame);
  });
}

/** Fetches, and resolves to what JavaScript may know of the answer. */
export async function ask({ url, options }) {
  try {
    const answer = await fetch(url, options);
    return { status: answer.status, type: answer.type, text: await answer.text() };
  } catch (err) {
    return { failed: err.name };
  }
}
