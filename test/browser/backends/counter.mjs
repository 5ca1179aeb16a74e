// A server with Node's ws that sends numbers and expects numbers, each way in
// turn from 0, as an application has it that never heard of Usher. ?count= says
// how many it sends: of its own accord, but never far ahead of what it was sent.
// What it saw it prints, a line of JSON each for the handshake and the end, and it
// ends when its input does.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const burst = 250; // Messages every few milliseconds.
const ahead = 1000; // At most, so that both sides are busy all the time.

const server = createServer();
const sockets = new WebSocketServer({
  server,
  handleProtocols: (offered) => (offered.has('chat.v1') ? 'chat.v1' : false),
});

let last = 0;
sockets.on('connection', (socket, request) => {
  const id = ++last;
  const count = Number(new URL(request.url, 'http://localhost').searchParams.get('count'));
  const seen = { received: 0, sent: 0, wrong: null, pings: 0 };
  print({ event: 'open', id, path: request.url, protocol: socket.protocol, headers: request.rawHeaders });
  const ticker = setInterval(() => {
    const end = Math.min(count, seen.sent + burst, seen.received + ahead);
    while (seen.sent < end) socket.send(String(seen.sent++));
  }, 4);
  socket.on('message', (message) => {
    const text = message.toString();
    if (text !== String(seen.received)) seen.wrong ??= { at: seen.received, text };
    seen.received++;
  });
  for (const kind of ['ping', 'pong']) socket.on(kind, () => seen.pings++);
  socket.on('error', () => {}); // Its close comes next.
  socket.on('close', (code, reason) => {
    clearInterval(ticker);
    print({ event: 'close', id, code, reason: reason.toString(), seen });
  });
});
server.listen(0, '127.0.0.1', () => print({ event: 'listening', port: server.address().port }));
process.stdin.on('end', () => process.exit(0)).resume();
