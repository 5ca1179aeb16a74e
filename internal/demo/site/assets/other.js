// The other site. It attacks the chat from its own origin and says what it saw,
// on its own page and, in a frame, to the page around it.

const target = await (await fetch('/target')).json();
const list = document.getElementById('saw');
document.getElementById('origin').textContent = location.origin;

function tell(id, saw, tone = '', over = false) {
  if (saw) {
    const item = document.createElement('li');
    item.className = tone;
    item.textContent = saw;
    list.append(item);
  }
  if (parent !== window) parent.postMessage({ try: id, saw, tone, over }, target.http);
}

function socket(id, prefix) {
  const ws = new WebSocket(`${target.ws}${prefix}/chat/cookie?try=${id}`, ['chat.v1']);
  tell(id, `${location.origin}: new WebSocket("${target.ws}${prefix}/chat/cookie")`, 'code');
  ws.addEventListener('open', () => tell(id, 'open', 'good'));
  ws.addEventListener('error', () => tell(id, 'error, which says nothing', 'bad'));
  ws.addEventListener('close', (e) => tell(id, `close ${e.code}`, 'bad', true));
}

async function ticket(id, prefix) {
  tell(id, `${location.origin}: fetch("${target.http}/usher/v1/tickets?route=${prefix}/chat/ticket", {method: "POST", credentials: "include", mode: "no-cors", body: "x"})`, 'code');
  try {
    const answer = await fetch(`${target.http}/usher/v1/tickets?route=${prefix}/chat/ticket&try=${id}`, {
      method: 'POST', credentials: 'include', mode: 'no-cors', body: 'x',
    });
    tell(id, `an ${answer.type} answer, which this page cannot read`, 'bad', true);
  } catch {
    tell(id, 'TypeError: the browser does not say why', 'bad', true);
  }
}

const attacks = { socket, ticket };

function mark() {
  return Array.from(crypto.getRandomValues(new Uint8Array(5)), (b) => 'abcdefghijkmnpqrstuvwxyz23456789'[b % 32]).join('');
}

for (const button of document.querySelectorAll('button')) {
  button.addEventListener('click', () => attacks[button.dataset.attack](mark(), ''));
}

const [attack, id, backend] = location.hash.slice(1).split('.');
if (attacks[attack] && id) attacks[attack](id, backend === 'node' ? '/node' : '');
