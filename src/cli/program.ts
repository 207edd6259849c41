/** The tree of commands. */
import { Command } from 'commander';
import { Exit, type Io, type Register } from './cli.ts';
import { register as call } from './commands/call.ts';
import { register as check } from './commands/check.ts';
import { register as completion } from './commands/completion.ts';
import { register as demo } from './commands/demo.ts';
import { register as diagnose } from './commands/diagnose.ts';
import { register as drain } from './commands/drain.ts';
import { register as heap } from './commands/heap.ts';
import { register as instances } from './commands/instances.ts';
import { register as log } from './commands/log.ts';
import { register as logLevel } from './commands/log-level.ts';
import { register as pick } from './commands/pick.ts';
import { register as scaling } from './commands/scaling.ts';
import { register as serve } from './commands/serve.ts';
import { register as servers } from './commands/servers.ts';
import { register as sim } from './commands/sim.ts';
import { register as top } from './commands/top.ts';
import { packageVersion, register as version } from './commands/version.ts';

const COMMANDS: readonly Register[] = [
  serve,
  demo,
  top,
  heap,
  pick,
  call,
  servers,
  drain,
  diagnose,
  scaling,
  instances,
  logLevel,
  log,
  check,
  sim,
  completion,
  version,
];

/** Builds the program; nothing is run, written or connected. */
export function buildProgram(io: Io): Command {
  const program = new Command('heapmesh')
    .description('A gRPC load balancer that keeps backends in a min-heap by the load they report.')
    .version(`heapmesh ${packageVersion()}`, '-V, --version', 'print the version')
    .configureHelp({ sortOptions: false, showGlobalOptions: false })
    .helpCommand(true)
    .addHelpText(
      'after',
      `
Exit codes: ${Exit.FINE} fine, ${Exit.FAILURE} failure, ${Exit.USAGE} usage or configuration.
HEAPMESH_CONTROL and HEAPMESH_ADMIN name the balancer for commands that talk to one; NO_COLOR turns colours off.

Examples:
  heapmesh serve --server echo.v1.EchoService=127.0.0.1:50051
  heapmesh top
  heapmesh call echo.v1.EchoService/Echo -d '{"message": "hello"}'`,
    );
  for (const register of COMMANDS) register(program, io);
  for (const command of everyCommand(program)) {
    command
      .exitOverride()
      .configureOutput({
        writeOut: text => void io.stdout.write(text),
        writeErr: text => void io.stderr.write(text),
        getOutHelpWidth: () => io.stdout.columns ?? 100,
        getErrHelpWidth: () => io.stderr.columns ?? 100,
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      })
      .showHelpAfterError(`(see \`${pathOf(command)} --help\`)`);
  }
  return program;
}

/** A command and all below it. */
export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** As one types it: `heapmesh servers add`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}
