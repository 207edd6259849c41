/** `heapmesh check`. */
import type { CheckOptions } from '../check-config.ts';
import type { Register } from '../cli.ts';
import { outputOption } from '../options.ts';

export const register: Register = (program, io) => {
  program
    .command('check')
    .summary('check a configuration file')
    .description(
      'Checks a configuration file as `heapmesh serve` would read it, and starts nothing. Every mistake is printed with line, column and what was expected; exit code 2 where there is one. Keys that have no effect in this version are warned of.',
    )
    .argument('<file>', 'the file; - is standard input')
    .option('--insecure', 'allow addresses beyond loopback, as for `heapmesh serve`')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh check heapmesh.yaml\n  heapmesh check heapmesh.yaml -o json',
    )
    .action(async (file: string, options: CheckOptions) => {
      const { checkConfig } = await import('../check-config.ts');
      checkConfig(file, options, io);
    });
};
