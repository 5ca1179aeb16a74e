// Builds dist: one ES module without a dependency, and its types. Fails where
// the module is larger than it may be. With --demo the page of "usher demo" gets
// it too: its copy is in the repository, because Go alone builds that program.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const most = 4096;
rmSync('dist', { recursive: true, force: true });
const common = { entryPoints: ['src/index.ts'], bundle: true, format: 'esm', target: 'es2022', legalComments: 'none' };
await build({ ...common, outfile: 'dist/index.js', sourcemap: true });
await build({ ...common, entryPoints: ['src/react.ts'], external: ['react', '@usher-ws/client'], outfile: 'dist/react.js' });
execFileSync(process.execPath, ['node_modules/typescript/bin/tsc'], { stdio: 'inherit' });
const { outputFiles } = await build({ ...common, minify: true, write: false });
const size = gzipSync(outputFiles[0].contents, { level: 9 }).length;
console.log(`client: ${outputFiles[0].contents.length} bytes minified, ${size} gzipped, at most ${most}`);
if (size > most) process.exit(1);
if (process.argv.includes('--demo')) {
  const copy = '../internal/demo/site/assets/usher-client.js';
  writeFileSync(copy, `// @usher-ws/client, from client/src by "npm run demo" there. Do not edit.\n${outputFiles[0].text}`);
}
