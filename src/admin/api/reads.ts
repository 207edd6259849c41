/** State as plain JSON, for programs and people with curl: what the console's stream tells, asked for once. */
import { ANY_SERVICE } from '../../core/core.ts';
import { ADMIN_LIMITS, REGISTRY_LIMITS } from '../../core/limits.ts';
import type { RegistryEvent } from '../../core/registry.ts';
import type { AdminRequest, Route } from '../admin.ts';
import { HttpError, json, type Reply } from '../reply.ts';
import { eventInfo, totalsOf } from './feed.ts';
import { Loads } from './loads.ts';
import { poolInfo } from './pools.ts';
import type { Sources } from './sources.ts';
import type { StateCounts } from './state-counts.ts';
import type { Turns } from './turns.ts';
import { firstPool, infoOf } from './view.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Parts of an answer are made until they have so many characters. */
const PART = 16 * 1024;

export function readRoutes(sources: Sources, turns: Turns, states: StateCounts): Route[] {
  const route = (path: string, handle: (request: AdminRequest) => Reply): Route => ({
    method: 'GET',
    path: `/api/${path}`,
    handle,
  });
  return [
    route('state', () => ({
      type: JSON_TYPE,
      body: inParts(state(sources, states), 'pools', pools(sources), turns),
    })),
    route('backends', request => ({
      type: JSON_TYPE,
      body: inParts({}, 'backends', backends(sources, request), turns),
    })),
    route('heap', request => json(heap(sources, request))),
    route('events', request => {
      const { position, events: found } = events(sources, request);
      return { type: JSON_TYPE, body: inParts({ position }, 'events', each(found, eventInfo), turns) };
    }),
    route('calls', request => json({ calls: sources.calls.after(wholeNumber(request, 'after', 0)) })),
    route('connections', () => json(sources.connections())),
  ];
}

function state(sources: Sources, states: StateCounts): object {
  const { instance, version, addresses, settings, wall } = sources;
  const { writes, traceLink = null } = settings();
  const totals = totalsOf(sources, states);
  return { instance, version, addresses, writes, traceLink, time: wall(), totals };
}

function pools(sources: Sources): Iterable<object> {
  const all = [...sources.mesh.pools()].slice(0, ADMIN_LIMITS.pools);
  return each(all, pool => poolInfo(pool, sources));
}

/** Made one by one, as they are asked for. */
function* each<T>(all: readonly T[], made: (one: T) => object): Generator<object> {
  for (const one of all) yield made(one);
}

function* backends(sources: Sources, { query }: AdminRequest): Generator<object> {
  const { mesh, history } = sources;
  const service = query.get('service') ?? '';
  const loads = new Loads(mesh, history);
  for (const view of mesh.registry.list()) {
    const { id, services } = view.spec;
    if (service !== '' && !services.includes(service) && !services.includes(ANY_SERVICE)) continue;
    loads.values.fill(Number.NaN);
    loads.read(id, (service === '' ? undefined : mesh.pool(service)) ?? firstPool(sources, id));
    loads.readRecent(id);
    yield { ...infoOf(view), load: loads.object() };
  }
}

/** An object of which one field is a long list: made a little at a time, as it is read, since it would hold up calls. */
async function* inParts(
  head: object,
  name: string,
  list: Iterable<object>,
  turns: Turns,
): AsyncGenerator<string> {
  let part = JSON.stringify({ ...head, [name]: [] }).slice(0, -2);
  let isFirst = true;
  for (const each of list) {
    await turns.next();
    part += `${isFirst ? '' : ','}\n${JSON.stringify(each)}`;
    isFirst = false;
    if (part.length < PART) continue;
    yield part;
    part = '';
  }
  yield `${part}]}\n`;
}

function heap({ mesh }: Sources, { query }: AdminRequest): object {
  const service = query.get('service') ?? '';
  const zone = query.get('zone') ?? '';
  const pool = mesh.pool(service);
  if (pool === undefined) throw new HttpError(404, `no server serves '${service.slice(0, 256)}'`);
  if (zone !== '' && pool.zoneNamed(zone) === undefined) {
    throw new HttpError(404, `the pool has no zone '${zone.slice(0, 128)}'`);
  }
  const most = Math.min(
    wholeNumberOf(query.get('most'), 'most', ADMIN_LIMITS.heapListed),
    ADMIN_LIMITS.heapListed,
  );
  const view = pool.heap(mesh.now(), zone, most);
  return {
    service: pool.service,
    zone: view.zone,
    zones: pool.zones.map(each => each.name),
    arity: view.arity,
    size: pool.zoneNamed(view.zone)?.order.size ?? 0,
    nodes: view.nodes.map(({ slot, ...node }) => ({ id: mesh.idOf(slot), ...node })),
  };
}

function events(
  { mesh: { registry } }: Sources,
  request: AdminRequest,
): { readonly position: number; readonly events: readonly RegistryEvent[] } {
  const after = wholeNumber(request, 'after', -1);
  const held = after < 0 ? undefined : registry.eventsAfter(after);
  const found = held ?? registry.lastEvents(REGISTRY_LIMITS.events);
  const most = Math.min(wholeNumber(request, 'most', ADMIN_LIMITS.events), REGISTRY_LIMITS.events);
  return { position: registry.position, events: found.slice(-most) };
}

function wholeNumber({ query }: AdminRequest, name: string, missing: number): number {
  return wholeNumberOf(query.get(name), name, missing);
}

function wholeNumberOf(text: string | null, name: string, missing: number): number {
  if (text === null) return missing;
  const value = Number(text);
  if (/^\d{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new HttpError(400, `${name}: expected a whole number`);
}
