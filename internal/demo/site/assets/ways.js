// The ways to come in, by the client, and to be refused, with sockets opened by
// hand: what each is for, how its hole is closed, and what can
// be tried with it. A case runs with a context: { attempt, chat, user, look }.

import * as api from './api.js';

const hidden = '…';
const expiring = 10; // Seconds that a "brief" token is good for.

const base64url = (text) => btoa(text).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

async function need(ctx, kind, user) {
  const token = await api.token(kind, user);
  if (kind === 'brief') ctx.attempt.ends = Date.now() + expiring * 1000;
  return token;
}

// Ticket

async function ticket(ctx, kind = 'good') {
  const answer = await api.desk(ctx.attempt, await need(ctx, kind));
  ctx.attempt.note(`fetch("/usher/v1/tickets?route=${ctx.attempt.prefix}/chat/ticket") answers ${answer.status}`, answer.ok ? 'good' : 'bad');
  const body = await answer.json();
  if (!answer.ok) {
    ctx.attempt.note(`${body.title}${body.detail ? `: ${body.detail}` : ''}`, 'bad');
    ctx.attempt.settle('refused', `Refused at the desk: ${answer.status}`);
    return '';
  }
  return body.ticket;
}

/** Comes in by the client, as a page of yours would, with tokens of a kind. */
async function enter(ctx, shown, options, kind = 'good') {
  if (!ctx.user) throw new api.NobodyHere('a token is for who is logged in');
  const getToken = async (why) => {
    const token = await need(ctx, kind);
    ctx.attempt.note(`getToken("${why}")`, 'aside');
    return token;
  };
  ctx.attempt.enter({ getToken, ...options, shown }, ctx.chat);
}

const withTicket = (ctx, t) => ctx.attempt.connect(
  { path: '/chat/ticket', query: { ticket: t }, display: { query: { ticket: hidden } } }, ctx.chat);

const ticketCases = {
  admit: [
    ['In the query', (ctx) => enter(ctx, '{getToken}', { path: '/chat/ticket' })],
    ['As a subprotocol', (ctx) => enter(ctx, '{getToken, protocols: "chat.v1"}', { path: '/chat/ticket', protocols: 'chat.v1' })],
    ['Stay, with tokens of 10 seconds', (ctx) => enter(ctx, '{getToken}', { path: '/chat/ticket' }, 'brief')],
    ['In the first message', async (ctx) => {
      const t = await ticket(ctx);
      if (t) ctx.attempt.connect({ path: '/chat/ticket', first: JSON.stringify({ type: 'auth', ticket: t, ack: true }), display: { first: '{"type":"auth","ticket":"…","ack":true}' } }, ctx.chat);
    }],
  ],
  refuse: [
    ['Use a ticket twice', '4401', async (ctx) => {
      const t = await ticket(ctx);
      if (!t) return;
      const one = withTicket(ctx, t);
      one.addEventListener('message', () => {
        one.close(1000);
        ctx.attempt.note('once more, with the same ticket', 'aside');
        withTicket(ctx, t);
      }, { once: true });
    }],
    ['Alter a ticket', '4401', async (ctx) => {
      const t = await ticket(ctx);
      if (t) withTicket(ctx, t.slice(0, -6) + (t.at(-6) === 'A' ? 'B' : 'A') + t.slice(-5));
    }],
    ['Bring none, say nothing', '4408', async (ctx) => ctx.attempt.connect({ path: '/chat/ticket' }, ctx.chat)],
    ['Ask the desk too late', '401', (ctx) => ticket(ctx, 'expired')],
    ['Stay longer than the login', '4401', async (ctx) => { const t = await ticket(ctx, 'brief'); if (t) withTicket(ctx, t); }],
  ],
};

// The carriers of a plain token, which differ in how it travels only.

const subprotocol = async (ctx, kind) => ctx.attempt.connect({
  path: '/chat/subprotocol',
  protocols: ['chat.v1', `usher.bearer.${base64url(await need(ctx, kind))}`],
  display: { protocols: ['chat.v1', `usher.bearer.${hidden}`] },
}, ctx.chat);

const query = async (ctx, kind) => ctx.attempt.connect({
  path: '/chat/query', query: { access_token: await need(ctx, kind) }, display: { query: { access_token: hidden } },
}, ctx.chat);

const firstMessage = async (ctx, kind) => ctx.attempt.connect({
  path: '/chat/first-message',
  first: JSON.stringify({ type: 'auth', token: await need(ctx, kind), ack: true }),
  display: { first: '{"type":"auth","token":"…","ack":true}' },
}, ctx.chat);

const tokenRefusals = (send, none) => [
  ['Bring none', none.want, none.run],
  ['An expired token', '4401', (ctx) => send(ctx, 'expired')],
  ['A forged token', '4401', (ctx) => send(ctx, 'forged')],
  ['A token of 10 seconds', '4401', (ctx) => send(ctx, 'brief')],
  ['While nobody can decide', '4503', (ctx) => send(ctx, 'outage')],
];

const bare = (path) => ({ want: '4401', run: async (ctx) => ctx.attempt.connect({ path }, ctx.chat) });

// Cookie

async function cookie(ctx, csrf) {
  const display = csrf === undefined ? {} : { query: { csrf_token: hidden } };
  return ctx.attempt.connect({ path: '/chat/cookie', query: csrf === undefined ? {} : { csrf_token: csrf }, display }, ctx.chat);
}

async function cookieWithProof(ctx) {
  const getToken = async () => {
    const answer = await api.csrf(ctx.attempt);
    ctx.attempt.note(`fetch("/usher/v1/csrf?route=${ctx.attempt.prefix}/chat/cookie") answers ${answer.status}`, answer.ok ? 'good' : 'bad');
    if (!answer.ok) throw Object.assign(new Error('no CSRF token'), { status: 403 });
    return (await answer.json()).csrf_token;
  };
  ctx.attempt.enter({
    path: '/chat/cookie', carrier: 'cookie', protocols: 'chat.v1', renewal: false, getToken,
    shown: '{carrier: "cookie", protocols: "chat.v1", getToken}',
  }, ctx.chat);
}

async function cookieLoggedOut(ctx) {
  if (ctx.user) {
    await api.login('');
    ctx.attempt.note('logged out for a moment: JavaScript cannot take an HttpOnly cookie away', 'aside');
  } else {
    ctx.attempt.note('you are nobody, so there is no login to end', 'aside');
  }
  const socket = await cookie(ctx, 'x'.repeat(40));
  if (ctx.user) socket?.addEventListener('close', () => api.login(ctx.user).then(ctx.look), { once: true });
}

// Basic

const passwords = { alice: 'looking-glass', bob: 'can-we-fix-it', mallory: 'let-me-in' };

const basic = async (ctx, user, password) => ctx.attempt.connect({
  path: '/devices/chat',
  userinfo: user ? `${user}:${password}@` : '',
  display: user ? { userinfo: `ws://${user}:${hidden}@${location.host}` } : {},
}, ctx.chat);

// Bearer

async function bearer(ctx, kind) {
  const headers = kind ? { Authorization: `Bearer ${await need(ctx, kind)}` } : {};
  const answer = await api.ask(`${ctx.attempt.prefix}/chat/bearer?try=${ctx.attempt.id}`, { headers, credentials: 'omit' });
  ctx.attempt.note(`fetch("${ctx.attempt.prefix}/chat/bearer"${kind ? ', {headers: {Authorization: "Bearer …"}}' : ''}) answers ${answer.status}`, answer.ok ? 'good' : 'bad');
  const text = (await answer.text()).trim();
  if (text) ctx.attempt.note(text, answer.ok ? '' : 'bad');
  ctx.attempt.settle(answer.ok ? 'ended' : 'refused', answer.ok ? 'Answered' : `Refused: ${answer.status}`);
}

async function curl(ctx) {
  const token = await need(ctx, 'good');
  await navigator.clipboard.writeText(`curl -H "Authorization: Bearer ${token}" ${location.origin}${ctx.attempt.prefix}/chat/bearer`);
  ctx.attempt.note('copied: curl -H "Authorization: Bearer …" …/chat/bearer', 'good');
  ctx.attempt.note('the command has a real token in it, good for five minutes', 'aside');
  ctx.attempt.settle('ended', 'Copied');
}

export const carriers = [
  {
    id: 'ticket', path: '/chat/ticket', name: 'Ticket', hint: 'recommended for pages',
    purpose: 'For pages of your own. The client asks for a ticket with whatever login the page has, spends it on the handshake, and renews the session while it lasts.',
    closed: 'URLs end up in logs. So a ticket is good for one handshake, within 30 seconds, from one origin, on one route: by the time it is logged, it is worthless.',
    ...ticketCases,
  },
  {
    id: 'subprotocol', path: '/chat/subprotocol', name: 'Subprotocol', hint: 'the one header that JavaScript can set',
    purpose: 'For clients that hold a token and are to be judged before the handshake is answered.',
    closed: 'A server that echoes the header shows the token to every hop. The gateway cuts the token out, and the application’s own protocol is what gets selected.',
    admit: [['Come in', (ctx) => enter(ctx, '{carrier: "subprotocol", protocols: "chat.v1", getToken}', { path: '/chat/subprotocol', carrier: 'subprotocol', protocols: 'chat.v1' })]],
    refuse: [...tokenRefusals(subprotocol, bare('/chat/subprotocol')),
      ['Offer the token alone', '1006 or 4401', async (ctx) => ctx.attempt.connect({ path: '/chat/subprotocol', protocols: [`usher.bearer.${base64url(await need(ctx, 'good'))}`], display: { protocols: [`usher.bearer.${hidden}`] } }, ctx.chat)]],
  },
  {
    id: 'first-message', path: '/chat/first-message', name: 'First message', hint: 'nothing secret in URL or header',
    purpose: 'For pages that can spare a round trip: the handshake has nothing secret in it, and the first thing that is said is the token.',
    closed: 'The socket opens before anybody is known. So the gateway waits before it dials the backend: 5 seconds in this demo, 8 KiB, and only so many sockets at a time.',
    admit: [['Come in', (ctx) => enter(ctx, '{carrier: "first_message", protocols: "chat.v1", getToken}', { path: '/chat/first-message', carrier: 'first_message', protocols: 'chat.v1' })]],
    refuse: [...tokenRefusals(firstMessage, { ...bare('/chat/first-message'), want: '4408' }),
      ['Say something else first', '4401', async (ctx) => ctx.attempt.connect({ path: '/chat/first-message', first: 'hello?', display: { first: '"hello?"' } }, ctx.chat)]],
  },
  {
    id: 'cookie', path: '/chat/cookie', name: 'Cookie', hint: 'the login that a site has',
    purpose: 'For sites whose login is a cookie already. The browser attaches it to the handshake by itself.',
    closed: 'It attaches it for foreign pages too. So the exact Origin decides, and on this route the page must also bring a CSRF token, which only your own page can fetch.',
    admit: [['Come in', cookieWithProof]],
    refuse: [['Without the CSRF token', '4403', (ctx) => cookie(ctx)],
      ['With a made-up CSRF token', '4403', (ctx) => cookie(ctx, 'c'.repeat(54))],
      ['After logging out', '4401', cookieLoggedOut]],
    footnote: 'To see a foreign page use the cookie, choose “Another site” on the list.',
  },
  {
    id: 'query', path: '/chat/query', name: 'Query', hint: 'for clients you cannot change',
    purpose: 'For clients that you cannot change and that know one thing only: a URL with a token in it.',
    closed: 'The gateway cuts the token out before anything behind it sees the request. What stands before it, and the browser’s console, still see the URL: for pages, use a ticket.',
    admit: [['Come in', (ctx) => enter(ctx, '{carrier: "query", protocols: "chat.v1", getToken}', { path: '/chat/query', carrier: 'query', protocols: 'chat.v1' })]],
    refuse: tokenRefusals(query, bare('/chat/query')),
  },
  {
    id: 'basic', path: '/devices/chat', name: 'Basic', hint: 'for devices',
    purpose: 'For devices and scripts that have a user name and a password.',
    closed: 'Browsers send a password when challenged and then attach it by themselves. So the exact Origin decides, as with a cookie, and the password is judged again while the socket lives.',
    admit: [['Come in', (ctx) => basic(ctx, ctx.user, passwords[ctx.user])]],
    refuse: [['A wrong password', '1006', (ctx) => basic(ctx, ctx.user || 'alice', 'guess')],
      ['No password', '1006', (ctx) => basic(ctx)]],
    footnote: 'Both are challenged with 401, of which JavaScript sees 1006: browsers take any other answer for a good password. A good one they remember, so after “Come in”, “No password” sends that one again; Firefox then sends it whatever the URL says, so there “A wrong password” gets in too. That is why Basic is for devices. Mallory is not in the file of passwords.',
  },
  {
    id: 'bearer', path: '/chat/bearer', name: 'Bearer', hint: 'for services',
    purpose: 'For services, which can set the header that browsers cannot set on a WebSocket. The gateway covers plain HTTP too, so here it is a fetch.',
    closed: 'No browser attaches it by itself, so no foreign page can use it. It is cut out all the same: the backend is told who it is, not how that was shown.',
    admit: [['Ask who is in the room', (ctx) => bearer(ctx, 'good')], ['With an opaque token', (ctx) => bearer(ctx, 'opaque')], ['Copy as curl', curl]],
    refuse: [['Bring none', '401', (ctx) => bearer(ctx)], ['An expired token', '401', (ctx) => bearer(ctx, 'expired')],
      ['A forged token', '401', (ctx) => bearer(ctx, 'forged')]],
    footnote: 'An opaque token says nothing by itself: the gateway asks the application whose it is, and the application may say no.',
  },
];

export const attacks = [
  {
    id: 'other', path: '/chat/cookie', name: 'Another site', hint: 'cross-site hijacking', foreign: true,
    purpose: 'You are logged in here, and somebody has you open their page. It opens the chat, and your browser may well send your cookie along.',
    closed: 'The gateway looks at the Origin first, whole: scheme, host and port. A foreign page is answered 403 before any cookie is judged, and the backend is never dialed.',
    admit: [],
    refuse: [
      ['Same host, other port: your cookie goes along', '1006', (ctx) => ctx.elsewhere('sibling', 'socket')],
      ['Another host: the browser keeps a Lax cookie back', '1006', (ctx) => ctx.elsewhere('cross_site', 'socket')],
      ['Ask the desk for a ticket, from the other port', '403', (ctx) => ctx.elsewhere('sibling', 'ticket')],
    ],
    footnote: 'Cookies know no ports, and SameSite means site, not origin: only the Origin header tells the first one from your own page.',
  },
  {
    id: 'two', path: '/chat/two', name: 'Two credentials', hint: 'which one counts?',
    purpose: 'One handshake brings a token of yours and another one of somebody else, in the hope that two places pick differently.',
    closed: 'Neither counts. Two different credentials are a refusal, and both are cut out.',
    admit: [],
    refuse: [['Yours and another’s', '4403', async (ctx) => ctx.attempt.connect({
      path: '/chat/two',
      query: { access_token: await need(ctx, 'good', ctx.user === 'bob' ? 'alice' : 'bob') },
      protocols: ['chat.v1', `usher.bearer.${base64url(await need(ctx, 'good'))}`],
      display: { query: { access_token: hidden }, protocols: ['chat.v1', `usher.bearer.${hidden}`] },
    }, ctx.chat)]],
  },
];
