/** `heapmesh heap`. */
import { Option } from 'commander';
import { CliError, Exit, type Register } from '../cli.ts';
import type { Control, ControlOptions } from '../control.ts';
import { addControlOptions, type OutputFormat, outputOption, printJson, readCount } from '../options.ts';
import { type HeapDrawing, renderHeap } from '../render/heap.ts';
import { paintFor } from '../render/style.ts';
import { isPickable, type ServerView, STATES } from '../server-view.ts';
import { withControl } from '../with-control.ts';
import { listServers } from './servers.ts';

interface HeapOptions extends ControlOptions {
  readonly output: OutputFormat;
  readonly zone?: string;
  readonly depth?: number;
}

export const register: Register = (program, io) => {
  const command = program
    .command('heap')
    .summary('draw the heap of a pool')
    .description(
      "Draws the min-heap of a service's pool as a tree: the root is picked next. Beside each server stand its score and the parts that it is made of. Without a service, every pool is drawn.",
    )
    .argument('[service]', "a fully qualified service name, or '*' for the shared pool")
    .option('--zone <zone>', 'the heap of this zone; default is the one that the next pick comes from')
    .addOption(new Option('--depth <levels>', 'levels drawn below the root').argParser(readCount(0, 64)))
    .addHelpText(
      'after',
      '\nExamples:\n  heapmesh heap\n  heapmesh heap echo.v1.EchoService --depth 2\n  heapmesh heap echo.v1.EchoService -o json',
    );
  addControlOptions(command)
    .addOption(outputOption())
    .action(async (service: string | undefined, options: HeapOptions) => {
      await withControl(options, async control => {
        const servers = await listServers(control);
        const services = service === undefined ? servicesOf(servers) : [service];
        const drawings: HeapDrawing[] = [];
        for (const each of services) drawings.push(await drawingOf(control, each, servers, options));
        if (options.output === 'json') {
          const heaps = drawings.map(({ service, heap }) => ({ service, ...heap }));
          return printJson(io, service === undefined ? { heaps } : heaps[0]);
        }
        if (drawings.length === 0) {
          throw new CliError(
            'there is no pool yet: `heapmesh servers add SERVICE=ADDR` adds a server',
            Exit.FAILURE,
          );
        }
        const paint = paintFor(io.stdout, io.env);
        io.stdout.write(`${drawings.map(drawing => renderHeap(drawing, paint)).join('\n\n')}\n`);
      });
    });
};

/** Every service that a server names; the shared pool last. */
export function servicesOf(servers: readonly ServerView[]): string[] {
  const names = new Set(servers.flatMap(server => server.services));
  const shared = names.delete('*');
  return [...[...names].sort(), ...(shared ? ['*'] : [])];
}

async function drawingOf(
  control: Control,
  service: string,
  servers: readonly ServerView[],
  options: HeapOptions,
): Promise<HeapDrawing> {
  const heap = await control.call(call => control.admin.getHeap({ service, zone: options.zone ?? '' }, call));
  const members = servers.filter(({ services }) => services.includes(service) || services.includes('*'));
  const zones = new Set(members.filter(isPickable).map(server => server.zone));
  zones.delete(heap.zone);
  // At the cap of its warm-up, or at its max_concurrency, a server stands aside until calls end.
  const inHeap = new Set(heap.nodes.map(node => node.serverId));
  const atCap = members.filter(
    server => isPickable(server) && server.zone === heap.zone && !inHeap.has(server.id),
  ).length;
  const outside = STATES.filter(state => state !== 'ACTIVE' && state !== 'WARMING')
    .map(state => ({ state, count: members.filter(server => server.state === state).length }))
    .filter(({ count }) => count > 0)
    .map(({ state, count }) => `${count} ${state.toLowerCase()}`);
  return {
    service,
    heap,
    otherZones: [...zones].map(zone => (zone === '' ? "''" : zone)).sort(),
    outside: atCap === 0 ? outside : [`${atCap} at their cap`, ...outside],
    allAtCap: heap.nodes.length === 0 && atCap > 0,
    ...(options.depth === undefined ? {} : { depth: options.depth }),
  };
}
