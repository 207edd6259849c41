/** The reference of the command line: what `--help` says, of every command. */
import { Readable, Writable } from 'node:stream';
import type { Command } from 'commander';
import type { Io } from '../../src/cli/cli.ts';
import { buildProgram, pathOf } from '../../src/cli/program.ts';

export function renderCli(): string {
  let text = '';
  const sink = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const io: Io = { stdin: Readable.from([]), stdout: sink, stderr: sink, env: {} };
  const helpOf = (command: Command): string => {
    text = '';
    command.outputHelp();
    return text.trimEnd();
  };
  const sections = visible(buildProgram(io)).map(
    command =>
      `${'#'.repeat(depthOf(command) + 2)} ${pathOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  );
  return `# Command line

Generated from the commands by \`node scripts/docs.ts\`; not edited.

Results go to standard output; errors, warnings and what is told beside a result go to standard error.
\`-o json\` prints one JSON document, \`heapmesh top -o json\` one a line. Colours are used on a terminal
only, and not where \`NO_COLOR\` is set. Exit codes: 0 fine, 1 failure, 2 usage or configuration.

${sections.join('\n')}`;
}

/** A command and all below it, without those that are not listed. */
function visible(command: Command): Command[] {
  const below = command
    .createHelp()
    .visibleCommands(command)
    .filter(sub => sub.name() !== 'help');
  return [command, ...below.flatMap(visible)];
}

function depthOf(command: Command): number {
  return command.parent === null ? 0 : 1 + depthOf(command.parent);
}
