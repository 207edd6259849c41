// Installs the dependencies where node_modules is not what package-lock.json says; otherwise does nothing.
// With --check it only says why it would. Plain JavaScript, because it runs under whatever Node the machine
// has: the pinned one comes with what it installs.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const OLDEST_NODE = 20;

/** Why an installation is due; undefined where all is there. */
function whatIsMissing() {
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  let installed;
  try {
    // npm writes this list last, so an installation that was cut off leaves none.
    installed = JSON.parse(readFileSync(join(root, 'node_modules/.package-lock.json'), 'utf8')).packages;
  } catch {
    return 'nothing is installed yet';
  }
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const have = installed[path];
    if (have === undefined) {
      // Optional packages are mostly binaries for other systems.
      if (!entry.optional) return `${path} is missing`;
    } else if (have.version !== entry.version) {
      return `${path} is ${have.version}, the lock file says ${entry.version}`;
    } else if (!existsSync(join(root, path))) {
      return `${path} is missing`;
    }
  }
  const pinned = `v${wanted['node_modules/node'].version}`;
  const running = pinnedNode();
  return running === pinned ? undefined : `the pinned Node is ${pinned}, here is ${running ?? 'none'}`;
}

function pinnedNode() {
  try {
    return execFileSync(join(root, 'node_modules/.bin/node'), ['--version'], { encoding: 'utf8' }).trim();
  } catch {
    return undefined;
  }
}

const major = Number(process.versions.node.split('.')[0]);
if (major < OLDEST_NODE) {
  console.error(`setup: this is Node ${process.versions.node}; installing needs ${OLDEST_NODE} or later.`);
  process.exit(1);
}
const reason = whatIsMissing();
if (process.argv.includes('--check')) {
  console.log(reason ?? 'all is there');
} else if (reason !== undefined) {
  console.log(`setup: npm ci (${reason})`);
  const { status, error } = spawnSync('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (error !== undefined || status !== 0) {
    console.error(`setup: npm ci failed${error === undefined ? '' : `: ${error.message}`}`);
    process.exit(1);
  }
  const still = whatIsMissing();
  if (still !== undefined) {
    console.error(`setup: npm ci has run, but ${still}.`);
    console.error(
      'setup: the package "node" brings the pinned Node by its install script; where npm was told to run none ' +
        '(ignore-scripts), run: npm rebuild node --ignore-scripts=false',
    );
    process.exit(1);
  }
}
