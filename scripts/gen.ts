/** Generates the messages and service definitions of `proto/` into `src/gen/`, where they are not up to date. */
import { spawnSync } from 'node:child_process';
import { digest, pinnedEnv, ROOT, unlessDone } from './lib/project.ts';

const inputs = [
  'proto',
  'buf.yaml',
  'buf.gen.yaml',
  'scripts/protoc-gen-descriptors.ts',
  'node_modules/ts-proto/package.json',
];
await unlessDone('gen', digest(inputs), 'src/gen', () => {
  console.log('gen: proto/ -> src/gen/');
  const { status } = spawnSync('buf', ['generate'], { cwd: ROOT, env: pinnedEnv(), stdio: 'inherit' });
  if (status !== 0) {
    console.error('gen: buf generate failed');
    process.exit(1);
  }
});
