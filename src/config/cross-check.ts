/** Rules over several keys. They read the raw values, so that they hold where other keys are wrong too. */
import { isLoopback, parseAddress } from './address.ts';
import type { Path } from './problem.ts';

interface Finding {
  readonly path: Path;
  readonly message: string;
}

export interface Check {
  readonly errors: readonly Finding[];
  readonly warnings: readonly Finding[];
}

type Raw = Record<string, unknown>;

const isRaw = (value: unknown): value is Raw =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const itemsOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);

export function crossCheck(raw: unknown, insecure: boolean): Check {
  if (!isRaw(raw)) return { errors: [], warnings: [] };
  const errors = [
    ...duplicateServers(itemsOf(raw.servers)),
    ...duplicates(
      itemsOf(raw.pools),
      'pools',
      pool => pool.service,
      'service',
      'each pool is described once',
    ),
    ...(insecure ? [] : exposedListeners(raw)),
    ...sameListeners(raw),
    ...unicastAdvertised(raw),
    ...kafkaKeys(raw),
    ...scalingCommand(raw),
  ];
  return {
    errors,
    warnings: [...idleKeys(raw), ...outOfReach(raw)],
  };
}

const KAFKA_ALONE = ['brokers', 'topic', 'sasl', 'tls'].map(key => ['state', key] as const);

/** Keys that another key makes idle: whoever wrote them expects something else of the file. */
function idleKeys(raw: Raw): Finding[] {
  const log = isRaw(raw.state) ? (raw.state.log ?? 'memory') : 'memory';
  const provider = isRaw(raw.scaling) ? (raw.scaling.provider ?? 'standby') : 'standby';
  const idle = [
    ...(log === 'kafka' ? [] : KAFKA_ALONE.map(path => ({ path, why: `state.log is ${log}` }))),
    ...(log === 'memory' ? [{ path: ['state', 'directory'], why: 'state.log is memory' }] : []),
    ...(provider === 'command'
      ? []
      : [{ path: ['scaling', 'command'], why: `scaling.provider is ${provider}` }]),
  ];
  return idle
    .filter(({ path }) => has(raw, path))
    .map(({ path, why }) => ({ path, message: `has no effect: ${why}` }));
}

/** Instances on several machines, of which this one tells the others an address that leads nowhere. */
function outOfReach(raw: Raw): Finding[] {
  const section = (name: string): Raw => (isRaw(raw[name]) ? raw[name] : {});
  const { peers, advertise } = section('instance');
  const { log, brokers } = section('state');
  const key = log === 'kafka' ? (['state', 'brokers'] as const) : (['instance', 'peers'] as const);
  const others = log === 'kafka' ? brokers : peers;
  const isElsewhere = (text: unknown): boolean => {
    const address = typeof text === 'string' ? parseAddress(text) : undefined;
    return typeof address === 'object' && !isLoopback(address.host);
  };
  if (![others].flat().some(isElsewhere)) return [];
  const told = (isRaw(advertise) ? advertise.control : undefined) ?? section('control').listen ?? LOOPBACK;
  const address = typeof told === 'string' ? parseAddress(told, { anyPort: true }) : undefined;
  if (typeof address !== 'object') return [];
  const leadsNowhere = isLoopback(address.host) || address.host === '0.0.0.0' || address.host === '::';
  if (!leadsNowhere) return [];
  const message =
    `names other machines, and instances, backends and callers there are told '${told}' of this one, which does not lead ` +
    'here; set control.listen or instance.advertise.control to an address of this machine';
  return [{ path: key, message }];
}

const LOOPBACK = '127.0.0.1:4701';

function has(raw: Raw, path: readonly string[]): boolean {
  let value: unknown = raw;
  for (const part of path) {
    if (!isRaw(value) || !(part in value)) return false;
    value = value[part];
  }
  return value !== undefined && value !== null;
}

function duplicateServers(servers: unknown[]): Finding[] {
  const hint = 'ids are unique; give one of them another id';
  return duplicates(servers, 'servers', server => server.id ?? server.address, 'id', hint);
}

function duplicates(
  items: unknown[],
  list: string,
  nameOf: (item: Raw) => unknown,
  key: string,
  hint: string,
): Finding[] {
  const first = new Map<string, number>();
  const found: Finding[] = [];
  for (const [index, item] of items.entries()) {
    const name = isRaw(item) ? nameOf(item) : undefined;
    if (typeof name !== 'string') continue;
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, index);
    else
      found.push({ path: [list, index, key], message: `is '${name}', as in ${list}[${earlier}]; ${hint}` });
  }
  return found;
}

const LISTENERS = ['proxy', 'control', 'admin'] as const;

function listeners(raw: Raw) {
  return LISTENERS.flatMap(name => {
    const section = raw[name];
    const listen = isRaw(section) ? section.listen : undefined;
    const address = typeof listen === 'string' ? parseAddress(listen, { anyPort: true }) : undefined;
    return typeof address === 'object' ? [{ name, text: listen as string, address }] : [];
  });
}

function exposedListeners(raw: Raw): Finding[] {
  return listeners(raw)
    .filter(({ address }) => !isLoopback(address.host))
    .map(({ name, text }) => ({
      path: [name, 'listen'],
      message:
        `is '${text}', beyond loopback, where anyone who reaches it can use it: there is no TLS and no authentication yet; ` +
        'listen on 127.0.0.1, or allow it with --insecure',
    }));
}

function sameListeners(raw: Raw): Finding[] {
  const defaults: Readonly<Record<string, number>> = { proxy: 4700, control: 4701, admin: 4702 };
  const found: Finding[] = [];
  const given = listeners(raw);
  const all = LISTENERS.map(name => {
    const own = given.find(listener => listener.name === name);
    return { name, host: own?.address.host ?? '127.0.0.1', port: own?.address.port ?? defaults[name], own };
  });
  for (const [index, one] of all.entries()) {
    const other = all
      .slice(0, index)
      .find(each => each.port === one.port && each.host === one.host && one.port !== 0);
    if (other === undefined) continue;
    // The one that the user wrote is the one to change.
    const culprit = one.own ?? other.own;
    if (culprit === undefined) continue;
    const rival = culprit.name === one.name ? other.name : one.name;
    found.push({
      path: [culprit.name, 'listen'],
      message: `is '${culprit.text}', where ${rival} listens too; expected an address of its own`,
    });
  }
  return found;
}

function unicastAdvertised(raw: Raw): Finding[] {
  const advertise = isRaw(raw.instance) ? raw.instance.advertise : undefined;
  if (!isRaw(advertise)) return [];
  return ['control', 'proxy'].flatMap(key => {
    const text = advertise[key];
    const address = typeof text === 'string' ? parseAddress(text) : undefined;
    if (typeof address !== 'object' || (address.host !== '0.0.0.0' && address.host !== '::')) return [];
    const message = `is '${text}', which nobody can connect to; expected the address of one interface`;
    return [{ path: ['instance', 'advertise', key], message }];
  });
}

/** A log on Kafka needs its brokers, and proves who it is by a name and a secret. */
function kafkaKeys(raw: Raw): Finding[] {
  const { state } = raw;
  if (!isRaw(state) || state.log !== 'kafka') return [];
  const found: Finding[] = [];
  if (itemsOf(state.brokers).length === 0) {
    found.push({
      path: ['state', 'brokers'],
      message: 'is missing; a log on Kafka needs the address of a broker',
    });
  }
  const { sasl } = state;
  if (isRaw(sasl)) {
    const hasSecret = sasl.password !== undefined || sasl.passwordFile !== undefined;
    if (!hasSecret) {
      found.push({ path: ['state', 'sasl'], message: 'has no secret; expected passwordFile or password' });
    }
    if (sasl.mechanism !== 'oauthbearer' && sasl.username === undefined) {
      found.push({ path: ['state', 'sasl'], message: 'has no username, which this mechanism needs' });
    }
  }
  return found;
}

function scalingCommand({ scaling }: Raw): Finding[] {
  if (!isRaw(scaling) || scaling.provider !== 'command' || itemsOf(scaling.command).length > 0) return [];
  const message =
    "is 'command', but scaling.command names no program; expected one, such as [/usr/local/bin/start]";
  return [{ path: ['scaling', 'provider'], message }];
}
