/**
 * Network partitions between real processes, by namespaces: three instances on one log, one of which loses
 * its way to all backends, and then to the cluster.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kafka, startKafka } from '../../scripts/lib/kafka.ts';
import { command, start } from '../cli/process.ts';
import {
  Callers,
  Ending,
  type Instance,
  Pickers,
  startBackend,
  startInstance,
  until,
} from '../instances/fleet.ts';
import { folder, removeFolders } from './support.ts';

const isRoot = process.getuid?.() === 0;
const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: 'pipe' });

/** A namespace with two wires to this one: one to the backends, one to the cluster. */
class Apart {
  readonly #n = 1 + Math.floor(Math.random() * 200);
  readonly name = `hm-${process.pid}`;
  readonly #wires = ['b', 'k'].map(kind => ({
    here: `hm${process.pid}${kind}0`,
    there: `hm${process.pid}${kind}1`,
  }));

  constructor() {
    ip('netns', 'add', this.name);
    ip('-n', this.name, 'link', 'set', 'lo', 'up');
    for (const [i, { here, there }] of this.#wires.entries()) {
      ip('link', 'add', here, 'type', 'veth', 'peer', 'name', there, 'netns', this.name);
      ip('addr', 'add', `${this.#address(i, 1)}/24`, 'dev', here);
      ip('link', 'set', here, 'up');
      ip('-n', this.name, 'addr', 'add', `${this.#address(i, 2)}/24`, 'dev', there);
      ip('-n', this.name, 'link', 'set', there, 'up');
    }
  }

  /** Where backends are. */
  readonly backends = this.#address(0, 1);
  /** Where the instance in it is reached. */
  readonly instance = this.#address(0, 2);
  /** Where the cluster is. */
  readonly cluster = this.#address(1, 1);

  /** The other end goes down: this end keeps its address, and whatever is sent there is lost. */
  cut(wire: 'backends' | 'cluster', state: 'down' | 'up'): void {
    const { there } = this.#wires[wire === 'backends' ? 0 : 1] as { there: string };
    ip('-n', this.name, 'link', 'set', there, state);
  }

  remove(): void {
    ip('netns', 'delete', this.name);
  }

  #address(wire: number, host: number): string {
    return `10.${199 + wire}.${this.#n}.${host}`;
  }
}

const ending = new Ending();
let kafka: Kafka;
let apart: Apart;
before(async () => {
  if (!isRoot) return;
  apart = ending.add(new Apart(), one => one.remove());
  kafka = await startKafka({ hosts: [apart.cluster] });
  ending.add(kafka, one => one.stop());
});
after(async () => {
  await ending.all();
  removeFolders();
});

async function statesOf(control: string): Promise<Record<string, string>> {
  const ran = await command(['servers', '--control', control, '-o', 'json']);
  assert.equal(ran.code, 0, ran.stderr);
  const { servers } = JSON.parse(ran.stdout) as { servers: { id: string; state: string }[] };
  return Object.fromEntries(servers.map(({ id, state }) => [id, state]));
}

test('one of three instances is cut off from all backends, then from the cluster', {
  timeout: 240_000,
  skip: isRoot ? false : 'needs root',
}, async () => {
  const state = () => `state: { log: kafka, brokers: [${kafka.brokers.join(', ')}], directory: ${folder()} }`;
  const begin = (i: number, options = {}, more = '') =>
    startInstance(`lb-${i}`, `instance: { id: lb-${i}${more} }\n${state()}\n`, options);
  const [a, b] = await Promise.all([1, 2].map(async i => ending.add(await begin(i), one => one.stop())));
  const far = { control: '0.0.0.0:4701', proxy: '0.0.0.0:4700' };
  const within = ['ip', 'netns', 'exec', apart.name];
  const told = `, advertise: { control: '${apart.instance}:4701', proxy: '${apart.instance}:4700' }`;
  const c = ending.add(await begin(3, { ...far, within, flags: ['--insecure'] }, told), one => one.stop());
  assert.ok(a && b);
  const control = `${apart.instance}:4701`;
  const ids = ['v', 'w', 'x', 'y', 'z'];
  for (const id of ids) {
    const made = await startBackend(id, [a.control], { host: apart.backends });
    ending.add(made, one => one.stop());
  }
  for (const one of [a.control, b.control, control]) {
    await until('all backends are in service', async () => {
      const states = Object.values(await statesOf(one));
      return states.length === ids.length && states.every(each => each === 'WARMING' || each === 'ACTIVE');
    });
  }

  const picks = ending.add(new Pickers([a.control, b.control], 2), one => one.stop());
  const proxied = [a, b].map((one: Instance) => ending.add(new Callers(one.proxy, 2), each => each.stop()));
  apart.cut('backends', 'down');
  // The instance that is cut off can only be asked from within.
  const inside = ['--control', '127.0.0.1:4701', '-o', 'json'];
  const there = async () => {
    const asked = start(['servers', ...inside], {}, within);
    let said = '';
    asked.stdout?.on('data', data => {
      said += data;
    });
    await once(asked, 'close');
    return JSON.parse(said) as { servers: { state: string }[] };
  };
  // Not in one go: callers of this process have their turn meanwhile.
  await until('it ejects them for itself', async () =>
    (await there()).servers.every(one => one.state === 'EJECTED'),
  );
  await sleep(1_000);
  for (const one of [a, b]) {
    for (const [id, each] of Object.entries(await statesOf(one.control)))
      assert.match(each, /WARMING|ACTIVE/, id);
  }
  const before = picks.picks;
  await until('callers go on', () => picks.picks > before + 50);
  assert.deepEqual(picks.failures, []);
  for (const one of proxied) assert.deepEqual(one.failures, []);

  apart.cut('backends', 'up');
  await until('it has them again', async () => {
    // The kernel may still refuse the way: nobody has answered there when it was looked for last.
    const ran = await command(['servers', '--control', control, '-o', 'json']);
    if (/no balancer answers/.test(ran.stderr)) return false;
    const states = Object.values(await statesOf(control));
    return states.every(each => each === 'WARMING' || each === 'ACTIVE');
  });

  // Without the cluster it goes on picking; what is changed there waits, and is told.
  const there2 = ending.add(new Pickers([control], 1), one => one.stop());
  apart.cut('cluster', 'down');
  const at = there2.picks;
  await until('it goes on picking', () => there2.picks > at + 100);
  const weighed = await command(['servers', 'weight', 'x', '2', '--control', control]);
  assert.equal(weighed.code, 1);
  assert.match(weighed.stderr, /in force on lb-3.*waits for the log/);
  assert.deepEqual(there2.failures, []);
  apart.cut('cluster', 'up');
  await until('the others learn of it', async () => {
    const ran = await command(['servers', '--control', a.control, '-o', 'json']);
    return JSON.parse(ran.stdout).servers.some(
      (one: { id: string; weight: number }) => one.id === 'x' && one.weight === 2,
    );
  });
  assert.deepEqual(there2.failures, []);
  void c;
});
