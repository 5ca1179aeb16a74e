// A page with React: what it shows is what the hook says.
import { useSocket } from '@usher-ws/client/react';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

const getToken = async (why, signal) => (await fetch('/token?who=rita', { signal })).json();
const root = createRoot(document.getElementById('root'));

window.heard = [];

function Chat({ url, label }) {
  const { status, error, socket } = useSocket(url, { getToken, onMessage: ({ data }) => window.heard.push(`${label}: ${data}`) });
  window.say = (text) => socket.send(text);
  return <p id="status">{status} {error?.word}</p>;
}

/** Renders with these properties, or nothing at all. */
window.show = (props) => root.render(<StrictMode>{props && <Chat {...props} />}</StrictMode>);
window.ready = true;
