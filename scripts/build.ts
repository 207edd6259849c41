/**
 * Builds what is published: `src/` to `dist/` as JavaScript and declarations, and the console's files. Does nothing
 * where that is up to date.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { buildConsole, CONSOLE_INPUTS } from './lib/console.ts';
import { digest, filesBelow, pinnedEnv, ROOT, unlessDone } from './lib/project.ts';

const env = pinnedEnv();
const FRESH = '.make/dist';
const CONSOLE = '.make/console';

function run(command: string, ...args: string[]): void {
  const { status } = spawnSync(command, args, { cwd: ROOT, env, stdio: 'inherit' });
  if (status !== 0) {
    console.error(`build: ${command} ${args.join(' ')} failed`);
    process.exit(1);
  }
}

run('node', 'scripts/gen.ts');
const consoleKey = digest(CONSOLE_INPUTS);
await unlessDone('console-key', consoleKey, CONSOLE, async () => {
  console.log('build: src/admin/console -> dist/admin/console');
  await buildConsole(CONSOLE);
});
const inputs = ['src', 'tsconfig.json', 'tsconfig.build.json', 'node_modules/typescript/package.json'];
await unlessDone('build', digest(inputs, [consoleKey]), 'dist', () => {
  console.log(`build: src/ (${filesBelow('src').length} files) -> dist/`);
  // From nothing, so that no file of a deleted source is published, and beside the old one, which stays
  // where this one fails.
  rmSync(join(ROOT, FRESH), { recursive: true, force: true });
  run('tsc', '-p', 'tsconfig.build.json', '--outDir', FRESH);
  const bin = join(ROOT, FRESH, 'cli/main.js');
  if (existsSync(bin)) chmodSync(bin, 0o755);
  cpSync(join(ROOT, CONSOLE), join(ROOT, FRESH, 'admin/console'), { recursive: true });
  rmSync(join(ROOT, 'dist'), { recursive: true, force: true });
  renameSync(join(ROOT, FRESH), join(ROOT, 'dist'));
});
