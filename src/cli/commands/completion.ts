/** `heapmesh completion`: scripts for bash and zsh, made from the tree of commands. */
import { Argument, type Command } from 'commander';
import type { Register } from '../cli.ts';
import { renderBash } from '../completion/bash.ts';
import { describeTree } from '../completion/describe.ts';
import { renderZsh } from '../completion/zsh.ts';
import { addControlOptions } from '../options.ts';
import { withControl } from '../with-control.ts';
import { servicesOf } from './heap.ts';
import { listServers } from './servers.ts';

/** Completion must not keep a person waiting for a balancer that is not there. */
const LOOKUP_TIMEOUT_MS = 1_000;

export const register: Register = (program, io) => {
  program
    .command('completion')
    .summary('print a completion script for a shell')
    .description(
      'Prints a completion script. It completes commands, options and their values, and asks the balancer for ids and services.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(['bash', 'zsh']))
    .addHelpText(
      'after',
      `
Examples:
  source <(heapmesh completion bash)
  heapmesh completion bash > ~/.local/share/bash-completion/completions/heapmesh
  heapmesh completion zsh > "\${fpath[1]}/_heapmesh"`,
    )
    .action((shell: 'bash' | 'zsh') => {
      const tree = describeTree(program as Command);
      io.stdout.write(shell === 'bash' ? renderBash(tree) : renderZsh(tree));
    });

  // What the scripts call; no part of the interface.
  const lookup = program
    .command('__complete', { hidden: true })
    .addArgument(new Argument('<what>').choices(['ids', 'services']));
  addControlOptions(lookup, { timeout: false }).action(async (what: string, options: { control: string }) => {
    const servers = await withControl({ control: options.control, timeout: LOOKUP_TIMEOUT_MS }, listServers);
    const words = what === 'ids' ? servers.map(server => server.id) : servicesOf(servers);
    // An id with a space cannot be made by the API, so that lines and words are the same.
    io.stdout.write(words.map(word => `${word}\n`).join(''));
  });
};
