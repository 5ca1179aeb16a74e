// The panes: what each side saw of the chosen attempt.

export function element(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Text in which "‹12 characters›" becomes a label. */
function text(value) {
  const out = document.createDocumentFragment();
  for (const piece of String(value).split(/(‹[^›]*›)/)) {
    if (piece.startsWith('‹')) out.append(element('span', 'mask', piece.slice(1, -1)));
    else out.append(piece);
  }
  return out;
}

const loud = new Set(['explain_id']);

/** Names and values; the names in `bold` stand out. */
function fields(list = [], className = 'fields', bold = loud) {
  const rows = list.filter((f) => f.value).map(({ name, value }) => element('div', bold.has(name.toLowerCase()) ? (bold === loud ? 'key' : 'told') : '', element('dt', '', name), element('dd', '', text(value))));
  return element('dl', className, ...rows);
}

const hollow = (words) => element('p', 'hollow', words);

function show(id, ...children) {
  document.getElementById(id).replaceChildren(...children);
}

const arrows = { request: 'sent', message: 'sent', left: 'sent', answer: 'answered', closed: 'answered' };

function wire(e) {
  const line = e.kind === 'message' ? element('p', 'line', 'first message ', text(e.line)) : element('p', 'line', text(e.line));
  return element('div', `block ${arrows[e.kind]}`, element('span', 'tag', arrows[e.kind] === 'answered' ? 'server' : 'browser'), line, fields(e.fields));
}

const passes = 'This route takes no cookie as its credential, so the session cookie passes like any other.';
const told = new Set(['x-user', 'x-usher-identity']);

function backend(e) {
  const cookie = e.fields.some((f) => f.name === 'Cookie' && f.value.includes('session='));
  const decoded = e.jwt_header ? [
    element('span', 'tag identity-tag', 'X-Usher-Identity, decoded: signed by the gateway, for this handshake'),
    element('span', 'tag', 'header'), fields(e.jwt_header), element('span', 'tag', 'claims'), fields(e.claims),
  ] : [];
  return element('div', 'block', element('span', 'tag', `the chat in ${e.backend} received`),
    element('p', 'line', text(e.line)), fields(e.fields, 'fields', told), ...decoded,
    ...(cookie ? [element('p', 'aside', passes)] : []));
}

function log(e) {
  return element('div', `block log ${e.level.toLowerCase()}`,
    element('p', 'line', element('span', 'level', e.level), ' ', e.line), fields(e.fields));
}

const settled = (attempt) => ['refused', 'ended', 'untried'].includes(attempt.state);

export function render(attempt, events) {
  if (!attempt) {
    for (const id of ['js', 'wire', 'backend', 'operator']) show(id, hollow('Nothing yet.'));
    return;
  }
  document.getElementById('p-js').textContent = attempt.foreign ? 'What the attacker’s JavaScript saw' : 'What your JavaScript saw';
  show('js', ...attempt.saw.map((s) => element('p', `saw ${s.tone}`, s.text)));
  const wires = events.filter((e) => arrows[e.kind]);
  show('wire', ...(wires.length ? wires.map(wire) : [hollow('Nothing reached the server.')]));
  const seats = events.filter((e) => e.kind === 'backend');
  if (seats.length) show('backend', ...seats.map(backend));
  else show('backend', element('p', settled(attempt) ? 'hollow never' : 'hollow', settled(attempt) ? 'Nothing: the backend was not dialed.' : 'Nothing so far: the gateway dials after the verdict.'));
  const logs = events.filter((e) => e.kind === 'log');
  show('operator', ...(logs.length ? logs.map(log) : [hollow(settled(attempt) ? 'No record.' : 'No record so far.')]));
}

const titles = { trying: 'Waiting for the verdict', open: 'Admitted', refused: 'Refused', ended: 'Ended', untried: 'Not tried' };

/** What the backend had to do with it, from its own records. */
function backendTold(attempt, events) {
  const told = events.filter((e) => e.kind === 'backend').length;
  const asked = events.filter((e) => e.kind === 'request' && e.fields.some((f) => f.name === 'Upgrade')).length;
  if (attempt.state === 'open') return 'The backend was told who you are, and not how you showed it.';
  if (attempt.state !== 'refused') return '';
  return told ? `The backend was dialed for ${told} of ${asked} handshakes.` : 'The backend was never dialed.';
}

/** How an attack went is read off the server's answer: its page cannot know. */
function attackTitle(events) {
  const answer = events.find((e) => e.kind === 'answer');
  const status = answer ? Number(answer.line.split(' ')[1]) : 0;
  if (!status) return 'No answer yet';
  return status >= 400 ? `Attack refused: ${status}` : `The attack worked: ${status}`;
}

/** The one line that sums the attempt up. */
export function verdict(attempt, events) {
  document.getElementById('verdict').dataset.state = attempt.state;
  document.getElementById('verdict-title').textContent = attempt.foreign && attempt.state !== 'untried' ? attackTitle(events) : attempt.outcome || titles[attempt.state];
  document.getElementById('verdict-text').textContent = `${attempt.carrier}: ${attempt.label.toLowerCase()}. ${backendTold(attempt, events)}`;
}
