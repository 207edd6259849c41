/**
 * A process that opens the log on Kafka, says what it found of its own, and makes numbered changes until it is killed.
 * Each number is said on stdout once it was acknowledged, and not before.
 */
import { writeSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { server } from '../core/registry-support.ts';
import { highestOf, serverOf } from './numbered.ts';
import { member } from './support.ts';

const [brokers = '', id = '', directory = '', seed = '1'] = process.argv.slice(2);
let state = Number(seed);
const random = (): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return state / 2 ** 32;
};

process.stdin.once('data', async () => {
  const { registry, log } = await member(id, { brokers: brokers.split(','), directory });
  // What an earlier life left in the file is appended first.
  while (log.status().state !== 'healthy' || log.status().pending > 0) await sleep(5);
  let n = highestOf(registry, id);
  writeSync(1, `found ${n}\n`);
  for (;;) {
    const burst = Array.from({ length: 1 + Math.floor(random() * 8) }, async () => {
      const mine = ++n;
      const name = serverOf(id, mine);
      const body =
        mine <= 7
          ? ({ kind: 'claim', source: 'stream', spec: server(name, { weight: mine }) } as const)
          : ({ kind: 'weight', id: name, weight: mine } as const);
      const { applied, why } = await registry.propose(body, `change ${mine}`);
      writeSync(1, applied ? `${mine}\n` : `refused ${mine}: ${why}\n`);
    });
    await Promise.all(burst);
  }
});
