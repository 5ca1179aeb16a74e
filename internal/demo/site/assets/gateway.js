// The gateway itself: its configuration, its figures, and what it has to say
// about an explain id.

import * as api from './api.js';
import { element } from './panes.js';

const every = 5000; // Milliseconds between two looks at the figures.
const pause = 250; // After a record, before they are looked at.

const $ = (id) => document.getElementById(id);

/** The lines of a configuration that are about one path. */
export function excerpt(config, path) {
  const lines = config.split('\n');
  const start = lines.indexOf(`  - path: ${path}`);
  if (start < 0) return config;
  let end = start + 1;
  while (lines[end]?.startsWith('    ')) end += 1;
  const route = lines.slice(start, end);
  const names = new Set();
  for (const [, list] of route.join(' ').matchAll(/verify: \[([^\]]*)\]/g)) list.split(', ').forEach((n) => names.add(n));
  const first = lines.indexOf('verifiers:') + 1;
  const verifiers = lines.slice(first).filter((line) => names.has(/^ {2}(\w+):/.exec(line)?.[1]));
  return ['verifiers:', ...verifiers, 'routes:', ...route].join('\n');
}

/** A line of YAML, with its keys and its comment marked. */
function colored(line) {
  const [, text, comment] = /^(.*?)(\s+#.*)?$/.exec(line);
  const pieces = text.split(/([\w-]+:(?=\s|$))/).map((piece, i) => (i % 2 ? element('b', '', piece) : piece));
  if (comment) pieces.push(element('i', '', comment));
  return element('span', 'yaml-line', ...pieces);
}

const figure = (name, value, className = '') => element('div', className, element('dd', '', String(value)), element('dt', '', name));

export class Gateway {
  constructor() {
    this.config = '';
    this.whole = false;
    this.asked = ''; // The explain id that is shown.
    $('whole').addEventListener('click', () => {
      this.whole = !this.whole;
      $('whole').setAttribute('aria-pressed', String(this.whole));
      this.draw();
    });
    setInterval(() => { if (!document.hidden) this.look(); }, every);
    this.look();
  }

  /** Shows what the configuration says about a way. */
  show(way, prefix) {
    this.path = prefix + way.path;
    this.draw();
  }

  draw() {
    const text = this.whole ? this.config.trimEnd() : excerpt(this.config, this.path);
    $('config').replaceChildren(...text.split('\n').map(colored));
  }

  /** Looks at the figures once what happens now is counted. */
  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.look(), pause);
  }

  async look() {
    try {
      const now = await api.figures();
      const admitted = now.verdicts.filter((v) => v.verdict === 'admitted').reduce((sum, v) => sum + v.count, 0);
      const refused = now.verdicts.filter((v) => v.verdict === 'refused');
      $('figures').replaceChildren(
        figure('open now', now.connections, 'big'), figure('waiting for a verdict', now.pending, 'big'), figure('admitted', admitted, 'big good'),
        figure('refused', refused.reduce((sum, v) => sum + v.count, 0), 'big bad'), ...refused.map((v) => figure(v.reason, v.count)),
      );
      const link = element('a', '', `${now.admin}/metrics`);
      link.href = link.textContent;
      link.target = '_blank';
      link.rel = 'noopener';
      $('admin').replaceChildren('From its admin listener, which only this machine can reach: ', link);
    } catch (err) {
      $('admin').textContent = err.message;
    }
  }

  /** Shows what "usher explain" says about the last refusal among the events. */
  async explain(events) {
    const ids = events.flatMap((e) => (e.kind === 'log' ? e.fields.filter((f) => f.name === 'explain_id') : []));
    const id = ids.length ? ids.at(-1).value : '';
    if (id === this.asked) return;
    this.asked = id;
    $('explanation').hidden = !id;
    if (!id) return;
    const text = await api.explain(id);
    if (id !== this.asked) return;
    $('explain').replaceChildren(element('b', '', `$ usher explain ${id}\n`), text);
  }
}
