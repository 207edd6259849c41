/** `heapmesh log`: what it shows of files that are whole, torn and damaged, how it mends them, and what it explains. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import type { Io } from '../../src/cli/cli.ts';
import { run } from '../../src/cli/run.ts';
import { encodeDecision } from '../../src/state/decision-codec.ts';
import { filesIn } from '../../src/state/files.ts';
import { digestsOf, live, numbered } from './lives.ts';

async function command(...args: string[]): Promise<{ exit: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const into = (take: (text: string) => void) =>
    new Writable({
      write(chunk, _encoding, done) {
        take(String(chunk));
        done();
      },
    });
  const stdout = into(text => {
    out += text;
  });
  const stderr = into(text => {
    err += text;
  });
  const exit = await run(['log', ...args], { stdin: process.stdin, stdout, stderr, env: {} } as Io);
  return { exit, out, err };
}

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'heapmesh-log-'));
  try {
    await work(directory);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Two lives: 5 entries and a snapshot, 4 more; then 3. */
async function write(directory: string): Promise<void> {
  let life = await live(filesIn(directory), { historyOctets: 1e9 });
  for (let n = 1; n <= 5; n++) await life.log.append(numbered(n));
  await life.log.snapshot();
  for (let n = 6; n <= 9; n++) await life.log.append(numbered(n));
  life.log.noteLoads({
    origin: 'lb-1',
    epoch: 1,
    time: 1_000_000,
    rows: [1, 2, 3].map(i => ({
      id: `s${i}`,
      ageMs: 100,
      intervalMs: 1000,
      inFlight: i,
      utilization: 0.5,
      capacity: 100,
      others: i,
      failure: 0,
    })),
  });
  await life.close();
  life = await live(filesIn(directory), { historyOctets: 1e9 });
  for (let n = 10; n <= 12; n++) await life.log.append(numbered(n));
  await life.close();
}

const LAST = '0000000002.log';

test('dump and verify: every record, every file', () =>
  inDirectory(async directory => {
    await write(directory);
    const dump = await command('dump', directory);
    assert.equal(dump.exit, 0);
    const lines = dump.out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
    const entries = lines.filter(line => line.kind === 'entry');
    assert.deepEqual(
      entries.map(line => [line.position, line.proposal]),
      Array.from({ length: 12 }, (_, i) => [i + 1, JSON.parse(JSON.stringify(numbered(i + 1)))]),
    );
    assert.equal(lines.filter(line => line.kind === 'loads').length, 1);
    assert.equal(lines.filter(line => line.kind === 'end').length, 2);

    const verify = await command('verify', directory);
    assert.equal(verify.exit, 0, verify.err);
    assert.match(verify.out, /0000000000000005\.snapshot .* whole/);
    assert.match(verify.out, /0000000001\.log .* 1-9 .* whole/);
    assert.match(verify.out, /0000000002\.log .* 10-12 .* whole/);
    assert.equal((await command('verify', join(directory, 'none'))).exit, 1);
  }));

test('verify tells damage from a torn end, and repair cuts there and keeps what it cuts', () =>
  inDirectory(async directory => {
    await write(directory);
    const path = join(directory, LAST);
    const whole = await readFile(path);
    await writeFile(path, whole.subarray(0, whole.length - 3));
    const torn = await command('verify', directory, '-o', 'json');
    assert.equal(torn.exit, 0);
    assert.equal(JSON.parse(torn.out).files.at(-1).torn, true);

    const damaged = Buffer.from(whole);
    damaged[90] = (damaged[90] as number) ^ 4;
    await writeFile(path, damaged);
    const verify = await command('verify', directory);
    assert.equal(verify.exit, 1);
    assert.match(verify.out, /damaged at \d+: the checksum of a record is wrong/);
    assert.match(verify.out, /heapmesh log repair/);
    await assert.rejects(live(filesIn(directory)), /damaged at offset/);
    const repair = await command('repair', directory);
    assert.equal(repair.exit, 0, repair.err);
    assert.match(repair.out, /0000000002\.log: cut at \d+, \d+ octets were put aside/);
    const kept = (await filesIn(directory).list()).find(name => name.endsWith('.broken'));
    assert.deepEqual(
      await readFile(join(directory, kept as string)),
      damaged.subarray(Number(kept?.split('.')[2])),
    );
    assert.equal((await command('repair', directory)).out, 'nothing is wrong\n');
    const life = await live(filesIn(directory));
    const { position } = life.registry;
    assert(position >= 9 && position < 12);
    const list = Array.from({ length: position }, (_, i) => numbered(i + 1));
    assert.equal(life.registry.digest(), digestsOf(list)[position]);
    await life.close();
  }));

test('repair of a damaged snapshot goes back to the entries', () =>
  inDirectory(async directory => {
    await write(directory);
    const path = join(directory, '0000000000000005.snapshot');
    const bytes = await readFile(path);
    bytes[120] = (bytes[120] as number) ^ 1;
    await writeFile(path, bytes);
    assert.equal((await command('verify', directory)).exit, 1);
    assert.match((await command('repair', directory)).out, /the snapshot is damaged/);
    const life = await live(filesIn(directory));
    assert.equal(life.registry.position, 12, 'nothing is lost: all entries are there');
    await life.close();
  }));

test('compact leaves a snapshot of the same facts', () =>
  inDirectory(async directory => {
    await write(directory);
    const compact = await command('compact', directory);
    assert.equal(compact.exit, 0, compact.err);
    assert.match(compact.out, /at position 12 is all that is left/);
    const names = await filesIn(directory).list();
    assert.equal(names.filter(name => name.endsWith('.log')).length, 1);
    const life = await live(filesIn(directory));
    assert.equal(
      life.registry.digest(),
      digestsOf(Array.from({ length: 12 }, (_, i) => numbered(i + 1)))[12],
    );
    await life.close();
  }));

test('explain: the heap of a time, the exact pick where it was noted, and what it cannot know', () =>
  inDirectory(async directory => {
    const service = 'echo.v1.EchoService';
    await write(directory);
    const at = new Date(1_000_500).toISOString();
    const past = await command('explain', directory, '--service', service, '--at', at, '-o', 'json');
    assert.equal(past.exit, 0, past.err);
    const explanation = JSON.parse(past.out);
    assert.equal(explanation.exact, false);
    assert.equal(explanation.members, 7);
    assert.equal(explanation.best.length, 5);
    const scores = explanation.best.map((one: { score: number }) => one.score);
    assert.deepEqual(
      scores,
      scores.toSorted((a: number, b: number) => a - b),
    );
    assert.match(explanation.unknown.join(), /load was noted 0\.5 s before/);
    const early = await command('explain', directory, '--service', service, '--at', '2001-01-01T00:00:00Z');
    assert.equal(early.exit, 0, 'all that is there was written before');
    const before = await command(
      'explain',
      directory,
      '--service',
      service,
      '--at',
      new Date(5).toISOString(),
    );
    assert.equal(before.exit, 1);
    assert.match(before.err, /does not reach back/);

    const life = await live(filesIn(directory), { wallClock: () => 1_001_000, historyOctets: 1e9 });
    const best = [{ id: 's3', score: 0.01, newcomer: false, terms: { own: 1, others: 0, capacity: 300 } }];
    const noted = {
      service,
      lease: 77,
      policy: 'least-load',
      want: 'zone z1',
      members: 7,
      eligible: 7,
      best,
    };
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const note = (time: number, serverId: string, lease: number, trace: string): boolean =>
      life.log.aside(encodeDecision({ ...noted, lease, time, serverId, traceId: trace }));
    note(1_000_900, 's3', 77, traceId);
    note(1_000_980, 's2', 76, '');
    note(1_000_960, 's1', 77, traceId);
    await life.log.append(numbered(13));
    await life.close();
    const exact = await command(
      'explain',
      directory,
      '--service',
      service,
      '--at',
      new Date(1_000_940).toISOString(),
    );
    assert.match(exact.out, /s3 was picked \(by least-load; wanted: zone z1\)/);
    assert.doesNotMatch(exact.out, /cannot tell/);

    const id = Buffer.alloc(30);
    id.writeUIntBE(life.epoch, 6, 6);
    id.writeUInt32BE(76, 12);
    const lease = await command('explain', directory, '--lease', id.toString('base64url'));
    assert.match(lease.out, /s2 was picked/);
    assert.doesNotMatch(lease.out, /the number of this lease/);
    // Numbers of leases come again: the newest is shown, and that there are others.
    id.writeUInt32BE(77, 12);
    const twice = await command('explain', directory, '--lease', id.toString('base64url'));
    assert.match(twice.out, /s1 was picked/);
    assert.match(twice.out, /2 noted picks of that life had the number of this lease: the newest is shown/);
    assert.match(twice.out, /1970-01-01T00:16:40\.900Z/);
    const json = await command('explain', directory, '--lease', id.toString('base64url'), '-o', 'json');
    assert.deepEqual(JSON.parse(json.out).others, ['1970-01-01T00:16:40.900Z']);
    id.writeUInt32BE(78, 12);
    const other = await command('explain', directory, '--lease', id.toString('base64url'));
    assert.equal(other.exit, 1);
    assert.match(other.err, /was not noted: state\.decisions\.sampleRatio/);
    // The number alone is not enough: it is of another life.
    id.writeUInt32BE(77, 12);
    id.writeUIntBE(life.epoch - 1, 6, 6);
    assert.equal((await command('explain', directory, '--lease', id.toString('base64url'))).exit, 1);

    for (const given of [traceId, `00-${traceId}-00f067aa0ba902b7-01`, traceId.toUpperCase()]) {
      const traced = await command('explain', directory, '--trace', given);
      assert.equal(traced.exit, 0, traced.err);
      assert.match(
        traced.out,
        /: 2 picks were noted[\s\S]*pick 1 of 2[\s\S]*s3 was picked[\s\S]*s1 was picked/,
      );
    }
    const unknown = 'f'.repeat(32);
    const none = await command('explain', directory, '--trace', unknown);
    assert.equal(none.exit, 1);
    assert.match(none.err, /no pick of trace f{32} was noted: .*`--service S --at TIME` rebuilds the heap/);
    const when = ['--service', service, '--at', new Date(1_000_500).toISOString()];
    const likely = await command('explain', directory, '--trace', unknown, ...when);
    assert.match(likely.out, /would have been picked, as far as the log tells/);
    assert.match(likely.out, /cannot tell:\n {2}- no pick of trace f{32} was noted/);
    assert.equal((await command('explain', directory, '--trace', '0'.repeat(32))).exit, 2);
    assert.equal((await command('explain', directory, '--service', service)).exit, 2);
    assert.equal((await command('explain', directory)).exit, 2);
  }));
