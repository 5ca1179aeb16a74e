// What runs inside of the page in the tests of sessions. Puppeteer carries each
// function into the page as text, so none uses anything from outside.

/** Says "hello", rests, and says "still here"; resolves to what came of it. */
export function rest({ url, ms }) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, ['chat.v1']);
    const messages = [];
    socket.onopen = () => {
      socket.send('hello');
      setTimeout(() => socket.send('still here'), ms);
    };
    socket.onmessage = ({ data }) => {
      messages.push(data);
      if (messages.length === 2) socket.close(1000);
    };
    socket.onclose = ({ code, reason }) => resolve({ messages, code, reason });
  });
}

/**
 * Sends `count` numbers and expects as many, a part of each way during each of
 * `renewals`: with a token and with a cookie in turn, both from `login`. Then it
 * waits for the end, and resolves to what it saw.
 */
export async function exchange({ url, login, renew, count, renewals }) {
  const seen = { received: 0, sent: 0, wrong: null, renewals: [] };
  const pause = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
  const enter = async (by, i) => (await fetch(`${login}?${new URLSearchParams({ by, i })}`)).json();

  async function renewOnce(by, { token, exp }) {
    const began = performance.now();
    const before = { received: seen.received, sent: seen.sent };
    const options = by === 'cookie'
      ? { credentials: 'include', headers: { 'X-Requested-With': 'fetch' } }
      : { credentials: 'omit', headers: { Authorization: `Bearer ${token}` } };
    const answer = await fetch(renew, { method: 'POST', ...options });
    seen.renewals.push({
      by, exp, status: answer.status, answer: await answer.json(), ms: performance.now() - began,
      received: seen.received - before.received, sent: seen.sent - before.sent,
    });
  }

  seen.first = await enter('cookie', 0);
  const socket = new WebSocket(url, ['chat.v1']);
  const closed = new Promise((resolve) => {
    socket.onclose = ({ code, reason, wasClean }) => resolve({ code, reason, clean: wasClean, at: Date.now() });
  });
  socket.onmessage = ({ data }) => {
    if (data !== String(seen.received)) seen.wrong ??= { at: seen.received, data };
    seen.received++;
    seen.last = Date.now();
  };
  await new Promise((resolve) => {
    socket.onopen = resolve;
    closed.then(resolve);
  });
  const began = performance.now();
  const open = () => socket.readyState === WebSocket.OPEN;
  const part = count / renewals;
  for (let i = 1; i <= renewals && open(); i++) {
    const by = i % 2 ? 'bearer' : 'cookie';
    const renewed = renewOnce(by, await enter(by, i));
    const rested = pause(50); // So that it lasts on a fast machine too.
    while (open() && (seen.sent < i * part || seen.received < i * part)) {
      for (let n = 0; n < part / 4 && seen.sent < i * part; n++) socket.send(String(seen.sent++));
      await pause(4);
    }
    await renewed;
    await rested;
  }
  seen.ms = performance.now() - began;
  seen.close = await closed;
  return seen;
}
