/** `heapmesh call`. */
import { InvalidArgumentError } from 'commander';
import type { Register } from '../cli.ts';
import type { CallOptions, MethodName } from '../generic/call.ts';
import { addControlOptions, collect, durationOption, outputOption, readAddress } from '../options.ts';

export const register: Register = (program, io) => {
  const command = program
    .command('call')
    .summary('call a method of a backend')
    .description(
      'Calls a method of any of the four kinds on the backend that the balancer picks, and prints the answers as JSON. What backend that was and why, the status and the latency go to stderr. The outcome is reported to the balancer. Types come from the backend by server reflection, or from --proto.',
    )
    .argument('<service/method>', 'such as echo.v1.EchoService/Echo', readMethod)
    .option(
      '-d, --data <json>',
      'the request; @FILE reads a file, - reads standard input; several messages, one behind the other or with several -d, for methods that take a stream',
      collect,
    )
    .option(
      '--metadata <name=value>',
      'metadata of the request; may be given several times; values of names in -bin are base64',
      readMetadata,
    )
    .option(
      '--proto <file>',
      'take types from this file instead of reflection; may be given several times',
      collect,
    )
    .option(
      '-I, --import-folder <folder>',
      'where --proto looks for imports; may be given several times',
      collect,
    )
    .option('--address <address>', 'call this address, without asking a balancer', readAddress)
    .option('--hash-key <key>', 'same key, same backend, as long as its load is within bounds')
    .option('--zone <zone>', "the caller's zone")
    .option('--emit-defaults', 'print fields that have their default value')
    .option('-v, --verbose', 'print header and trailer metadata to stderr')
    .addOption(
      durationOption(
        '--timeout <duration>',
        'deadline of the call; 10s for unary methods, none for streams, where it is left out',
      ),
    )
    .addHelpText(
      'after',
      `
Exit code 1 where the status is not OK.

Examples:
  heapmesh call echo.v1.EchoService/Echo -d '{"message": "hello"}'
  heapmesh call echo.v1.EchoService/Chat -d '{"n": 1} {"n": 2}' --metadata tenant=a
  heapmesh call echo.v1.EchoService/Echo --proto echo.proto -I ./proto -d @request.json -o json`,
    );
  addControlOptions(command, { timeout: false })
    .addOption(outputOption())
    .action(async (name: MethodName, options: CallOptions) => {
      // Only here: no other command needs types of services that are not known in advance.
      const { call } = await import('../generic/call.ts');
      await call(name, options, io);
    });
};

function readMethod(text: string): MethodName {
  const match = /^\/?([^/]+)\/([^/]+)$/.exec(text);
  if (match === null)
    throw new InvalidArgumentError('Expected SERVICE/METHOD, such as echo.v1.EchoService/Echo.');
  return { service: match[1] ?? '', method: match[2] ?? '' };
}

function readMetadata(text: string, earlier: [string, string][] | undefined): [string, string][] {
  const split = text.indexOf('=');
  const pair: [string, string] = [text.slice(0, split).toLowerCase(), text.slice(split + 1)];
  if (split <= 0) throw new InvalidArgumentError('Expected NAME=VALUE.');
  return [...(earlier ?? []), pair];
}
