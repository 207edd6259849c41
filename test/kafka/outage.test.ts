/**
 * Three real brokers that are killed, frozen and started again under instances that go on changing things:
 * what was acknowledged is there in the end, once, and all instances hold the same facts.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Kafka, type KafkaNode, startKafka } from '../../scripts/lib/kafka.ts';
import type { Entry } from '../../src/core/entries.ts';
import { Session } from '../../src/state/kafka/session.ts';
import { claim } from '../core/registry-support.ts';
import { until } from '../instances/fleet.ts';
import { type Member, member, removeFolders } from './support.ts';

const TOPIC = 'heapmesh.log';
let kafka: Kafka;
before(async () => {
  kafka = await startKafka({ nodes: 3 });
});
after(async () => {
  await kafka?.stop();
  removeFolders();
});

/** Registers one server after the other, and remembers what was acknowledged. */
class Changing {
  readonly acknowledged = new Set<string>();
  readonly made: string[] = [];
  readonly failed: string[] = [];
  readonly #running: Promise<void>;
  #over = false;

  constructor(one: Member) {
    this.#running = this.#run(one);
  }

  async #run(one: Member): Promise<void> {
    while (!this.#over) {
      const id = `${one.id}-${one.epoch}-${this.made.length}`;
      this.made.push(id);
      one.registry.propose(claim(id), 'registered').then(
        ({ applied }) => applied && this.acknowledged.add(id),
        (error: Error) => this.failed.push(error.message),
      );
      // Whatever the log does, the own view has it at once.
      if (one.registry.get(id) === undefined) this.failed.push(`${id} is not in the own view`);
      await sleep(25);
    }
  }

  stop(): Promise<void> {
    this.#over = true;
    return this.#running;
  }
}

async function leader(): Promise<KafkaNode> {
  const session = new Session({ brokers: kafka.brokers, clientId: 'test' }, 0);
  try {
    const metadata = await session.admin.metadata({ topics: [TOPIC], forceUpdate: true });
    const id = metadata.topics.get(TOPIC)?.partitions[0]?.leader;
    return kafka.nodes.find(node => node.id === id) as KafkaNode;
  } finally {
    await session.close();
  }
}

test('two of three brokers alive: nothing that was acknowledged is lost, nothing counts twice', {
  timeout: 240_000,
}, async () => {
  const { brokers } = kafka;
  const [a, b] = await Promise.all([member('lb-1', { brokers }), member('lb-2', { brokers })]);
  const entries: Entry[] = [];
  const unfollow = b.log.follow(b.log.last, entry => entries.push(entry));
  const changing = [new Changing(a), new Changing(b)];
  const acknowledged = () => changing.reduce((sum, one) => sum + one.acknowledged.size, 0);
  const goesOn = async (what: string) => {
    const had = acknowledged();
    await until(what, () => acknowledged() > had + 40);
  };
  await goesOn('changes are kept');

  const first = await leader();
  await first.kill();
  await goesOn('the leader was killed, and another one leads');
  await first.start();
  await goesOn('it is back');

  const second = await leader();
  second.freeze();
  await goesOn('the leader hangs, and another one leads');
  second.thaw();
  await goesOn('it goes on');

  await Promise.all(changing.map(one => one.stop()));
  await until('all is kept', () => a.log.status().pending === 0 && b.log.status().pending === 0);
  await until('all is read', () => a.registry.position === b.registry.position);
  assert.equal(a.registry.digest(), b.registry.digest());
  unfollow();
  assert.deepEqual(
    changing.flatMap(one => one.failed),
    [],
  );
  for (const one of changing) assert.equal(one.acknowledged.size, one.made.length, 'each was acknowledged');

  const ids = entries.map(({ proposal }) => (proposal.body.kind === 'claim' ? proposal.body.spec.id : ''));
  assert.equal(new Set(ids).size, ids.length, 'each counts once');
  const fresh = await member('lb-3', { brokers });
  for (const one of changing) {
    for (const id of one.acknowledged) assert.notEqual(fresh.registry.get(id), undefined, id);
  }
  assert.equal(fresh.registry.digest(), a.registry.digest());
  await Promise.all([a.close(), b.close(), fresh.close()]);
});
