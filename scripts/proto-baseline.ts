/**
 * Writes the public API as it is now to `test/proto/baseline.json`, against which breaking changes are
 * found. For a release, or where fields were added; it refuses what would break a user.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedEnv, ROOT } from './lib/project.ts';

const BASELINE = join(ROOT, 'test/proto/baseline.json');

function buf(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('buf', args, {
    cwd: ROOT,
    env: pinnedEnv(),
    encoding: 'utf8',
  });
  if (status === 0) return stdout;
  console.error(`proto-baseline: buf ${args.join(' ')} failed:\n${stdout}${stderr}`);
  process.exit(1);
}

if (existsSync(BASELINE)) buf('breaking', '--against', BASELINE);

// Not the services of examples and tests, which promise nothing.
const PUBLIC = ['heapmesh', 'xds', 'grpc', 'google'].flatMap(folder => ['--path', `proto/${folder}`]);
const image: unknown = JSON.parse(buf('build', '--exclude-source-info', ...PUBLIC, '-o', '-#format=json'));
writeFileSync(BASELINE, `${JSON.stringify(image, undefined, 1)}\n`);
console.log('proto-baseline: test/proto/baseline.json is the API as it is now');
