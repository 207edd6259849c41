#!/usr/bin/env node
/** The `heapmesh` command. */
// First: it may begin anew.
import './v8-threads.ts';
// Then: what is loaded makes the heap grow.
import './old-generation.ts';
import './young-generation.ts';

// `heapmesh servers | head`: a reader that has seen enough is no error of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  process.stderr.write(`error: cannot write the output: ${error.message}\n`);
  process.exit(1);
});

// A balancer goes on where whoever read its log is gone.
process.stderr.on('error', () => {});

// All else is loaded when that is settled.
const { run } = await import('./run.ts');
process.exitCode = await run(process.argv.slice(2), process);

// A reader that takes none of what is left must not keep the process from its end.
setTimeout(() => process.exit(), 1_000).unref();
