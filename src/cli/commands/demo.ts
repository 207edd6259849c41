/** `heapmesh demo`. */
import { Option } from 'commander';
import type { Register } from '../cli.ts';
import type { DemoFlags } from '../demo/demo.ts';
import { durationOption, outputOption, readCount, readListenAddress } from '../options.ts';

export const register: Register = (program, io) => {
  program
    .command('demo')
    .summary('show a balancer, servers and callers at work')
    .description(
      'Starts a balancer, three servers as processes of their own (one of them four times slower), a standby, and callers that reach them by the heapmesh:// target, or through the proxy. Shows the heap, the servers and the latencies live. Calls are repeated after UNAVAILABLE, at most twice. With --seconds it ends by itself: half of the time by the heap, half by round robin over the same servers, and a table of both.',
    )
    .addOption(new Option('--rate <calls>', 'calls a second').default(280).argParser(readCount(1, 5_000)))
    .option('--seconds <n>', 'end after this many seconds, with a summary', readCount(4, 86_400))
    .option('--plain', 'one line a second instead of a live view (default where the output is no terminal)')
    .addOption(
      new Option('--via <how>', 'callers pick by themselves (heapmesh:// channel), or go through the proxy')
        .choices(['lookaside', 'proxy'])
        .default('lookaside'),
    )
    .option(
      '--overload',
      'callers ask for more than the servers should have: they pass 80 %, the standby joins by itself as the root, and goes again when the rush is over',
    )
    .addOption(durationOption('--join <duration>', 'activate the standby after this long'))
    .addOption(
      new Option(
        '--control <address>',
        'control address of the balancer; a free port where it is taken',
      ).argParser(readListenAddress),
    )
    .addOption(
      new Option(
        '--admin <address>',
        'address of the console; 127.0.0.1:4702, or a free port where it is taken',
      ).argParser(readListenAddress),
    )
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
Keys of the live view: a activates the standby, which joins as the root of the heap; k kills a server
(SIGKILL), r starts it again; + and - change the rate; q leaves.

Examples:
  heapmesh demo
  heapmesh demo --seconds 20 --rate 280
  heapmesh demo --plain --join 5s
  heapmesh demo --overload
  heapmesh top                 in another terminal, while the demo runs`,
    )
    .action(async (flags: DemoFlags) => {
      // Only here: no other command needs the whole balancer.
      const { runDemo } = await import('../demo/demo.ts');
      await runDemo(flags, io);
    });
};
