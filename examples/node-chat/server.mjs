// A chat that knows nothing of authentication. Whoever stands in front of it
// says who is there, in the header X-User: so it must be reachable through
// Usher's gateway only, and listens on loopback.
//
// It prints a line of JSON when it listens and for each request that it gets,
// which "usher demo" shows. It ends when its standard input does.
import { createServer } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';

const maxMembers = 100; // One more is told to try again later.
const maxBehind = 64 << 10; // Bytes that a member may be behind before it is put out.

const members = new Map(); // Of names, by socket.

function say(line) {
  const text = JSON.stringify(line);
  for (const socket of members.keys()) {
    if (socket.readyState !== WebSocket.OPEN) continue;
    if (socket.bufferedAmount > maxBehind) socket.terminate();
    else socket.send(text);
  }
}

/** Prints a request as it came: all headers, in their order and spelling. */
function show(request) {
  const headers = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) headers.push(request.rawHeaders.slice(i, i + 2));
  const line = `${request.method} ${request.url} HTTP/${request.httpVersion}`;
  console.log(JSON.stringify({ line, headers }));
}

const server = createServer((request, response) => {
  show(request);
  const room = [...new Set(members.values())].sort();
  response.writeHead(200, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(`${JSON.stringify({ you: request.headers['x-user'] ?? '', room })}\n`);
});

const sockets = new WebSocketServer({
  noServer: true,
  maxPayload: 1 << 10,
  handleProtocols: (offered) => (offered.has('chat.v1') ? 'chat.v1' : false),
});

server.on('upgrade', (request, socket, head) => {
  show(request);
  if (members.size >= maxMembers) {
    socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    return;
  }
  sockets.handleUpgrade(request, socket, head, (member) => {
    const name = request.headers['x-user'] ?? '';
    members.set(member, name);
    say({ text: `${name} came in` });
    member.on('message', (text, binary) => {
      if (!binary) say({ from: name, text: text.toString() });
    });
    member.on('error', () => {}); // It closes, which is dealt with below.
    member.on('close', () => {
      members.delete(member);
      say({ text: `${name} left` });
    });
  });
});

server.listen(Number(process.env.PORT ?? 0), process.env.HOST ?? '127.0.0.1', () => {
  console.log(JSON.stringify({ port: server.address().port }));
});
process.stdin.on('end', () => process.exit(0)).resume();
