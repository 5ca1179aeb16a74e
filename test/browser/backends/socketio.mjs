// A Socket.IO server, WebSocket transport only, which repeats what it is told,
// as an application has it that never heard of Usher. What it saw it prints, a
// line of JSON each, and it ends when its input does.
import { createServer } from 'node:http';
import { Server } from 'socket.io';

const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const server = createServer();
const io = new Server(server, { transports: ['websocket'], serveClient: false });

let last = 0;
io.on('connection', (socket) => {
  const id = ++last;
  print({ event: 'open', id, path: socket.request.url, auth: socket.handshake.auth, query: socket.handshake.query });
  // The WebSocket below it, for the code that it was closed with.
  socket.conn.transport.socket.on('close', (code) => print({ event: 'close', id, code }));
  socket.on('say', (text, answer) => {
    print({ event: 'message', id, text });
    answer(text);
  });
});
server.listen(0, '127.0.0.1', () => print({ event: 'listening', port: server.address().port }));
process.stdin.on('end', () => process.exit(0)).resume();
