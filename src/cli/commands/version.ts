/** `heapmesh version`. */
import { readFileSync } from 'node:fs';
import type { Register } from '../cli.ts';
import { type OutputFormat, outputOption, printJson } from '../options.ts';

/** Of the package that this file belongs to; sources and build are equally deep in it. */
export function packageVersion(): string {
  const manifest = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

export const register: Register = (program, io) => {
  program
    .command('version')
    .summary('print the version')
    .description('Prints the version of Heapmesh and of the Node.js that runs it.')
    .addOption(outputOption())
    .action((options: { output: OutputFormat }) => {
      const version = packageVersion();
      if (options.output === 'json') printJson(io, { version, node: process.versions.node });
      else io.stdout.write(`heapmesh ${version} (Node.js ${process.versions.node})\n`);
    });
};
