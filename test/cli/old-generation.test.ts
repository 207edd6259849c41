import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../scripts/lib/project.ts';

/** Collections of the old generation in a process in which 400,000 objects live and 4,000,000 die old. */
function collections(argument: string, flags: readonly string[]): number {
  const program = `
    import { PerformanceObserver, constants } from 'node:perf_hooks';
    import { setImmediate as turn } from 'node:timers/promises';
    process.argv[2] = '${argument}';
    await import(${JSON.stringify(join(ROOT, 'src/cli/old-generation.ts'))});
    let major = 0;
    const seen = list => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) major++;
    };
    const observer = new PerformanceObserver(seen);
    observer.observe({ entryTypes: ['gc'] });
    const living = [];
    for (let n = 0; n < 4_400_000; n++) {
      // By turns, so that what dies has lived long.
      living[n % 400_000] = { n, text: [n] };
      if (n % 10_000 === 0) await turn();
      if (n === 400_000) major = 0;
    }
    seen({ getEntries: () => observer.takeRecords() });
    console.log(major);`;
  const args = [...flags, '--no-warnings', '--input-type=module', '--eval', program];
  return Number(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

test('the old generation of a balancer is collected when it has grown by much; a growth that was chosen holds', () => {
  const ours = collections('serve', []);
  const chosen = collections('serve', ['--heap-growing-percent=10']);
  assert.ok(ours > 0, 'the program makes garbage');
  assert.ok(ours * 3 <= chosen, `${ours} collections, ${chosen} where it grows by a tenth`);
});
