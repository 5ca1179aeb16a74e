// Builds dist: one ES module without a dependency, and its types. Fails where
// the module is larger than it may be.
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
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
