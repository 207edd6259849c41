/**
 * A process that opens the log of a directory, says what it found, and appends numbered changes until it
 * is killed. Each number is said on stdout once it was acknowledged, and not before.
 */
import { writeSync } from 'node:fs';
import { filesIn } from '../../src/state/files.ts';
import { lockDirectory } from '../../src/state/lock.ts';
import { live, numbered } from './lives.ts';

const [directory = '', seed = '1'] = process.argv.slice(2);
let state = Number(seed);
const random = (): number => {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  return state / 2 ** 32;
};

process.stdin.once('data', async () => {
  const life = await live(filesIn(directory), {
    fileOctets: 6_000,
    historyOctets: 3_000,
    lock: files => lockDirectory(files, Math.random, text => writeSync(2, `${text}\n`)),
  });
  writeSync(1, `found ${life.registry.position} ${life.registry.digest()}\n`);
  let n = life.registry.position;
  for (;;) {
    const burst = Array.from({ length: 1 + Math.floor(random() * 8) }, async () => {
      writeSync(1, `${await life.log.append(numbered(++n))}\n`);
    });
    if (random() < 0.1) life.log.noteLoads({ origin: 'lb-1', epoch: 1, time: n, rows: [] });
    await Promise.all(burst);
  }
});
