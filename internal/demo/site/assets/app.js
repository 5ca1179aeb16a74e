// The page: who you are, the ways to come in, and the attempts so far.

import * as api from './api.js';
import { Attempt } from './attempt.js';
import { Chat } from './chat.js';
import { Events } from './events.js';
import { Gateway } from './gateway.js';
import { render, verdict } from './panes.js';
import { attacks, carriers } from './ways.js';

const $ = (id) => document.getElementById(id);
const kept = 12;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

const state = { user: '', other: {}, way: carriers[0], attempts: [], chosen: null, backend: 'go' };
const chat = new Chat();
const gateway = new Gateway();
const events = new Events((e) => {
  if (e.kind === 'log') gateway.soon();
  refresh();
});
const backends = {
  go: { prefix: '', name: 'Go' },
  node: { prefix: '/node', name: 'Node' },
};

function refresh() {
  const chosen = state.chosen;
  const seen = chosen ? events.of(chosen.id) : [];
  render(chosen, seen);
  if (chosen) verdict(chosen, seen);
  gateway.explain(seen);
  const none = document.createElement('li');
  none.className = 'empty';
  none.textContent = 'Nothing yet.';
  $('history').replaceChildren(...(state.attempts.length ? state.attempts.map(chip) : [none]));
}

function chip(attempt) {
  const button = document.createElement('button');
  button.type = 'button';
  button.dataset.state = attempt.state;
  button.setAttribute('aria-pressed', String(attempt === state.chosen));
  button.textContent = `${attempt.carrier}: ${attempt.label.toLowerCase()}`;
  button.addEventListener('click', () => { state.chosen = attempt; refresh(); });
  const item = document.createElement('li');
  item.append(button);
  return item;
}

async function start(way, label, run) {
  chat.leave();
  const attempt = new Attempt(way.name, label, backends[state.backend].prefix, refresh);
  state.attempts = [attempt, ...state.attempts].slice(0, kept);
  state.chosen = attempt;
  attempt.foreign = way.foreign;
  refresh();
  // On a narrow screen the outcome is further down.
  $('verdict').scrollIntoView({ block: 'nearest', behavior: calm.matches ? 'auto' : 'smooth' });
  try {
    await look();
    await run({ attempt, chat, look, user: state.user, elsewhere: (where, attack) => elsewhere(attempt, where, attack) });
  } catch (err) {
    attempt.note(err.message, 'bad');
    attempt.settle('untried', untried(err));
  }
}

function untried(err) {
  if (err instanceof api.NobodyHere) return 'Not tried: you are nobody, so choose a name first';
  return err instanceof api.Unanswered ? 'Not tried: no answer' : 'It did not get that far';
}

// An attack runs in a frame of another origin, which tells us what its own
// JavaScript saw.
function elsewhere(attempt, where, attack) {
  const url = new URL(state.other[where]);
  url.hash = `${attack}.${attempt.id}.${state.backend}`;
  const frame = $('frame').cloneNode();
  frame.src = url;
  $('frame').replaceWith(frame);
  $('elsewhere-hint').textContent = `A page of ${url.origin}. Yours is ${location.origin}.`;
}

addEventListener('message', (e) => {
  if (e.source !== $('frame').contentWindow) return;
  if (!Object.values(state.other).some((other) => new URL(other).origin === e.origin)) return;
  const attempt = state.attempts.find((a) => a.id === e.data.try);
  if (!attempt) return;
  attempt.note(String(e.data.saw), String(e.data.tone));
  if (e.data.over) attempt.settle('refused', '');
});

function button(label, want, press) {
  const b = document.createElement('button');
  b.type = 'button';
  b.textContent = label;
  if (want) {
    const code = document.createElement('span');
    code.className = 'want';
    code.textContent = want;
    b.append(code);
  }
  b.addEventListener('click', press);
  return b;
}

function choose(way) {
  state.way = way;
  $('title').textContent = way.name;
  $('purpose').textContent = way.purpose;
  $('closed').textContent = way.closed;
  $('footnote').textContent = way.footnote || '';
  $('refuse-title').textContent = way.admit.length ? 'Or be refused' : 'Try it';
  $('admit').replaceChildren(...way.admit.map(([label, run], i) => {
    const b = button(label, '', () => start(way, label, run));
    b.className = i ? 'second' : 'first';
    return b;
  }));
  $('refuse').replaceChildren(...way.refuse.map(([label, want, run]) => button(label, want, () => start(way, label, run))));
  $('room').hidden = Boolean(way.foreign);
  $('elsewhere').hidden = !way.foreign;
  for (const b of document.querySelectorAll('.carriers button')) b.setAttribute('aria-current', String(b.dataset.way === way.id));
  gateway.show(way, backends[state.backend].prefix);
  history.replaceState(null, '', `#${way.id}`);
}

function menu(list, ways) {
  list.replaceChildren(...ways.map((way) => {
    const b = document.createElement('button');
    b.type = 'button';
    b.dataset.way = way.id;
    const hint = document.createElement('small');
    hint.textContent = way.hint;
    b.append(way.name, hint);
    b.addEventListener('click', () => choose(way));
    const item = document.createElement('li');
    item.append(b);
    return item;
  }));
}

// The login is a cookie, which all tabs have in common.
async function look() {
  state.user = (await api.about()).user;
  showUser();
}

function showUser() {
  for (const b of $('who').querySelectorAll('button')) b.setAttribute('aria-pressed', String(b.dataset.user === state.user));
}

$('who').addEventListener('click', async (e) => {
  const chosen = e.target.closest('button');
  if (!chosen) return;
  chat.leave();
  try {
    await api.login(chosen.dataset.user);
    await look();
  } catch (err) {
    unable(err);
  }
});

// Another tab may have logged somebody else in meanwhile.
for (const [target, happened] of [[window, 'focus'], [document, 'visibilitychange']]) {
  target.addEventListener(happened, () => {
    if (!document.hidden && document.body.dataset.ready) look().catch(unable);
  });
}

function unable(err) {
  $('verdict').dataset.state = 'untried';
  $('verdict-title').textContent = 'No answer';
  $('verdict-text').textContent = err.message;
}

function chooseBackend(id) {
  chat.leave();
  state.backend = id;
  for (const b of $('backends').querySelectorAll('button')) b.setAttribute('aria-pressed', String(b.dataset.backend === id));
  $('room-hint').textContent = `In ${backends[id].name}: one room for all carriers. It takes your name from the header X-User and knows nothing else of you.`;
  gateway.show(state.way, backends[id].prefix);
}

$('backends').addEventListener('click', (e) => {
  const chosen = e.target.closest('button');
  if (chosen) chooseBackend(chosen.dataset.backend);
});

// A token that ends soon is counted down.
setInterval(() => {
  const ends = state.chosen?.state === 'open' ? state.chosen.ends : 0;
  const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
  $('countdown').hidden = !ends;
  $('countdown').firstElementChild.textContent = `its credential ends in ${left} s`;
}, 250);

async function boot() {
  menu($('carriers'), carriers);
  menu($('attacks'), attacks);
  choose([...carriers, ...attacks].find((way) => `#${way.id}` === location.hash) || carriers[0]);
  const known = await api.about();
  gateway.config = known.config;
  $('why-node').textContent = known.why_no_node ? `No chat in Node: ${known.why_no_node}` : '';
  $('why-node').hidden = !known.why_no_node;
  $('backends').querySelector('[data-backend="node"]').disabled = Boolean(known.why_no_node);
  chooseBackend('go');
  state.other = known.other;
  state.user = known.user;
  if (!state.user) {
    await api.login('alice');
    state.user = 'alice';
  }
  showUser();
  refresh();
  document.body.dataset.ready = 'yes';
}

boot();
