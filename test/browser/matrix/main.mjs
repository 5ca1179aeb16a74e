// Runs the support matrix, one engine after the other, and writes
// docs/reference/browsers.md: node matrix/main.mjs [ENGINE…]
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Tab } from '../gateway-tab.mjs';
import { clientConfiguration, serveClient } from '../client-site.mjs';
import { sections } from './facts.mjs';

const columns = [
  { name: 'Chromium', engine: 'chromium', thirdPartyCookies: true, note: 'third-party cookies allowed' },
  { name: 'Chromium, strict', engine: 'chromium', thirdPartyCookies: false, note: 'third-party cookies blocked, as Debian has it' },
  { name: 'Firefox', engine: 'firefox', thirdPartyCookies: false, note: 'with its defaults' },
  { name: 'WebKitGTK', engine: 'webkit', thirdPartyCookies: false, note: 'which is not Safari' },
];

const wanted = process.argv.slice(2);
const chosen = columns.filter(({ engine }) => wanted.length === 0 || wanted.includes(engine));
const seen = new Map(); // From column to fact to words.
const versions = new Map();
let failures = 0;

for (const column of chosen) {
  const tab = new Tab(column.engine);
  const facts = new Map();
  seen.set(column, facts);
  try {
    await tab.start({ backends: ['node'], configure: clientConfiguration, thirdPartyCookies: column.thirdPartyCookies });
    serveClient(tab);
    versions.set(column, (await tab.browser.version()).replace(/^(Headless)?Chrome\//, 'Chromium ').replace(/^firefox\//i, 'Firefox '));
    for (const [section, , list] of sections) {
      for (const [name, fact] of list) {
        let words;
        try {
          words = await fact(tab);
        } catch (error) {
          failures++;
          words = 'FAILED';
          console.error(`${column.name}: ${section}: ${name}: ${error.stack}`);
        }
        facts.set(`${section}/${name}`, words);
        console.log(`${column.name}: ${section}: ${name}: ${words}`);
      }
    }
  } finally {
    await tab.stop();
  }
}

if (failures > 0) {
  console.error(`${failures} facts failed: the page is not written`);
  process.exit(1);
}
if (wanted.length === 0) {
  const file = fileURLToPath(new URL('../../../docs/reference/browsers.md', import.meta.url));
  writeFileSync(file, page());
  console.log(`wrote ${file.replace(/.*\/docs/, 'docs')}`);
}

function page() {
  const row = (cells) => `| ${cells.join(' | ')} |\n`;
  let text = `# Browsers

What each engine does with each way to bring a credential, as seen: \`make browsers\` starts the real gateway over TLS in front of a server with Node's ws, drives each engine with a fresh profile, looks at the backend's sockets, and writes this page. What must hold in all of them is asserted on the way, so a page that could be written is also a test that passed. \`make test\` runs the same in Chromium and Firefox, and more.

| Engine | Version | How |
|---|---|---|
`;
  for (const column of chosen) text += row([column.name, versions.get(column), column.note]);
  for (const [section, what, list] of sections) {
    text += `\n## ${section}\n\n${what}\n\n`;
    text += row(['', ...chosen.map(({ name }) => name)]) + row(['---', ...chosen.map(() => '---')]).replaceAll(' ', '');
    for (const [name] of list) text += row([name, ...chosen.map((column) => seen.get(column).get(`${section}/${name}`))]);
  }
  text += `
## What is not here

Safari: WebKitGTK shares its engine, and not its network, cookies and WebSocket. Phones. Branded builds of Chrome and Edge. Tabs that a browser has frozen or thrown away: the client takes a timer that is a minute and a half late for sleep, and connects anew.
`;
  return text;
}
