// An echo with Node's ws, and a page at every path, as an application has them
// that never heard of Usher. What it saw it prints, a line of JSON each, and it
// ends when its input does.
import { createServer } from 'node:http';
import { WebSocketServer } from 'ws';

const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const server = createServer((request, response) => {
  print({ event: 'request', path: request.url });
  response.setHeader('Content-Type', 'text/html');
  response.end('<!doctype html><title>a page of the backend</title>');
});
const sockets = new WebSocketServer({
  server,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat.v1') ? 'chat.v1' : false),
});

let last = 0;
sockets.on('connection', (socket, request) => {
  const id = ++last;
  print({ event: 'open', id, path: request.url, protocol: socket.protocol });
  socket.on('message', (message, binary) => {
    print({ event: 'message', id, text: message.toString() });
    socket.send(message, { binary });
  });
  socket.on('ping', () => print({ event: 'ping', id }));
  socket.on('pong', () => print({ event: 'pong', id }));
  socket.on('error', () => {}); // Its close comes next.
  socket.on('close', (code, reason) => print({ event: 'close', id, code, reason: reason.toString() }));
});
server.listen(0, '127.0.0.1', () => print({ event: 'listening', port: server.address().port }));
process.stdin.on('end', () => process.exit(0)).resume();
