// A service in Node that keeps a connection through Usher: it has a client
// secret instead of a browser's login, and no page that could be closed.
//
//   USHER_URL=ws://127.0.0.1:8080/chat TOKEN_FILE=./token node service.mjs
import { readFile } from 'node:fs/promises';
import { connect } from '@usher-ws/client';

const url = process.env.USHER_URL;
const tokenFile = process.env.TOKEN_FILE;
if (!url || !tokenFile) {
  console.error('set USHER_URL and TOKEN_FILE');
  process.exit(2);
}

// Node 20 has no WebSocket of its own.
const WebSocket = globalThis.WebSocket ?? (await import('ws')).default;

const socket = connect(url, {
  WebSocket,
  // Whoever writes the file keeps it fresh; it is read at every attempt.
  getToken: async () => (await readFile(tokenFile, 'utf8')).trim(),
});
socket.onopen = () => {
  console.log('open');
  socket.send('hello');
};
socket.onmessage = ({ data }) => console.log('message', data);
socket.ondown = ({ error, wait }) => console.log(`down: ${error.message}; again in ${Math.round(wait)} ms`);
socket.onclose = ({ error }) => {
  console.log(error ? `closed: ${error.message}` : 'closed');
  process.exitCode = error ? 1 : 0;
};
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => socket.close(1000, 'stopped'));
