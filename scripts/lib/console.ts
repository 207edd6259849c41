/** Builds the console, `src/admin/console`, into a folder: a page, and files with digests in their names. */
import { join } from 'node:path';
import { build } from 'vite';
import { ROOT } from './project.ts';

/** What it is made of, for deciding whether it is up to date. */
export const CONSOLE_INPUTS = [
  'src/admin/console',
  'src/admin/wire.ts',
  'src/core/core.ts',
  'scripts/lib/console.ts',
  ...['vite', 'preact', 'uplot'].map(name => `node_modules/${name}/package.json`),
];

/** @param out relative to the root of the checkout; what is there goes away */
export async function buildConsole(out: string): Promise<void> {
  await build({
    configFile: false,
    root: join(ROOT, 'src/admin/console'),
    publicDir: false,
    logLevel: 'warn',
    // Relative, so that the console also works where a proxy serves it below a path of its own.
    base: './',
    build: {
      outDir: join(ROOT, out),
      emptyOutDir: true,
      target: 'es2022',
      // Of 2024: light-dark(), color-mix() and nothing that needs to be rewritten for older ones.
      cssTarget: ['chrome123', 'firefox128', 'safari17.5'],
      // Inlined files would be data: URLs, which the page's policy has no place for.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
    },
  });
}
