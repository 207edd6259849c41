/** `heapmesh serve`. */
import type { Register } from '../cli.ts';
import { collect, outputOption } from '../options.ts';
import type { ServeOptions } from '../serve.ts';

export const register: Register = (program, io) => {
  program
    .command('serve')
    .summary('run a balancer')
    .description(
      'Runs a balancer until SIGTERM or SIGINT. Without a configuration it listens on loopback and waits for backends that register by themselves. SIGHUP, or a change of the configuration file, takes over what can change while running, and says what cannot. Logs go to stderr.',
    )
    .option('--config <file>', 'configuration file; see docs/reference/config.md')
    .option('--proxy <address>', 'where the proxy listens; goes before the file (default: 127.0.0.1:4700)')
    .option(
      '--control <address>',
      'where the control API listens; goes before the file (default: 127.0.0.1:4701)',
    )
    .option(
      '--admin <address>',
      'where the HTTP endpoint listens; goes before the file (default: 127.0.0.1:4702)',
    )
    .option(
      '--server <service=addr>',
      'a backend, beside those of the file; without SERVICE= it serves every service; may be given several times',
      collect,
    )
    .option(
      '--advertise <host>',
      'the host that backends, callers and other instances reach this one at, on the ports that it listens on, such as the address of a pod; goes before the file',
    )
    .option('--insecure', 'allow addresses beyond loopback; there is no TLS and no authentication yet')
    .option(
      '--ignore-state',
      'begin with nothing although the log has something; its files are put aside under other names',
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
With -o json, one line of JSON with the addresses is printed when it is ready.

Examples:
  heapmesh serve --server echo.v1.EchoService=127.0.0.1:50051 --server echo.v1.EchoService=127.0.0.1:50052
  heapmesh serve --config heapmesh.yaml
  heapmesh serve --control 0.0.0.0:4701 --insecure`,
    )
    .action(async (options: ServeOptions) => {
      // Only here: no other command needs the whole balancer.
      const { serve } = await import('../serve.ts');
      await serve(options, io);
    });
};
