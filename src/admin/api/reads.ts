/** State as plain JSON, for programs and people with curl: what the console's stream tells, asked for once. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ANY_SERVICE } from '../../core/core.ts';
import { ADMIN_LIMITS, REGISTRY_LIMITS } from '../../core/limits.ts';
import type { AdminRequest, Route } from '../admin.ts';
import { HttpError, json, type Reply } from '../reply.ts';
import { eventInfo, totalsOf } from './feed.ts';
import { Loads } from './loads.ts';
import { poolInfo } from './pools.ts';
import type { Sources } from './sources.ts';
import { firstPool, infoOf } from './view.ts';

const JSON_TYPE = 'application/json; charset=utf-8';

export function readRoutes(sources: Sources): Route[] {
  const route = (path: string, handle: (request: AdminRequest) => Reply): Route => ({
    method: 'GET',
    path: `/api/${path}`,
    handle,
  });
  return [
    route('state', () => json(state(sources))),
    route('backends', request => ({ type: JSON_TYPE, body: backends(sources, request) })),
    route('heap', request => json(heap(sources, request))),
    route('events', request => json(events(sources, request))),
    route('calls', request => json({ calls: sources.calls.after(wholeNumber(request, 'after', 0)) })),
    route('connections', () => json(sources.connections())),
  ];
}

function state(sources: Sources): object {
  const { instance, version, addresses, settings, mesh, wall } = sources;
  const { writes, traceLink = null } = settings();
  const pools = [...mesh.pools()].slice(0, ADMIN_LIMITS.pools).map(pool => poolInfo(pool, sources));
  const totals = totalsOf(sources);
  return { instance, version, addresses, writes, traceLink, time: wall(), totals, pools };
}

/** `{"backends":[...]}`, made in parts: with all their servers it would hold up calls. */
async function* backends(sources: Sources, { query }: AdminRequest): AsyncGenerator<string> {
  const { mesh, history } = sources;
  const service = query.get('service') ?? '';
  const loads = new Loads(mesh, history);
  let part = '{"backends":[';
  let count = 0;
  for (const view of mesh.registry.list()) {
    const { id, services } = view.spec;
    if (service !== '' && !services.includes(service) && !services.includes(ANY_SERVICE)) continue;
    loads.values.fill(Number.NaN);
    loads.read(id, (service === '' ? undefined : mesh.pool(service)) ?? firstPool(sources, id));
    loads.readRecent(id);
    part += `${count++ === 0 ? '' : ','}\n${JSON.stringify({ ...infoOf(view), load: loads.object() })}`;
    if (count % ADMIN_LIMITS.rowsPerTurn === 0) {
      yield part;
      part = '';
      await nextTurn();
    }
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
  const view = pool.heap(mesh.now(), zone, wholeNumberOf(query.get('most'), 'most', 1_000));
  return {
    service: pool.service,
    zone: view.zone,
    zones: pool.zones.map(each => each.name),
    arity: view.arity,
    size: pool.zoneNamed(view.zone)?.order.size ?? 0,
    nodes: view.nodes.map(({ slot, ...node }) => ({ id: mesh.idOf(slot), ...node })),
  };
}

function events({ mesh: { registry } }: Sources, request: AdminRequest): object {
  const after = wholeNumber(request, 'after', -1);
  const held = after < 0 ? undefined : registry.eventsAfter(after);
  const found = held ?? registry.lastEvents(REGISTRY_LIMITS.events);
  const most = Math.min(wholeNumber(request, 'most', ADMIN_LIMITS.events), REGISTRY_LIMITS.events);
  return { position: registry.position, events: found.slice(-most).map(eventInfo) };
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
