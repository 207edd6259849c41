/**
 * Many calls at once, cut, stalled, reset, moved and ended at random by raw peers that keep the rules: what comes
 * out is what went in, octet for octet, each call ends as its peers ended it, and nothing is left behind.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { PROXY_LIMITS } from '../../src/core/limits.ts';
import { type Caller, request } from '../support/h2/caller.ts';
import { encode } from '../support/h2/hpack.ts';
import type { Outcome, Peer } from '../support/h2/peer.ts';
import { Status } from '../support/h2/status.ts';
import { type Arrival, OK, RESPONSE } from '../support/h2/upstream.ts';
import { Code, Flag, headers, reset, Setting } from '../support/h2/wire.ts';
import { cases, generator, SEED } from '../support/seed.ts';
import { startRig, upstreamFor } from './rig.ts';
import { Windows } from './windows.ts';

const ROUNDS = cases(12);
const CALLS = 50;

const KINDS = ['normal', 'normal', 'normal', 'early', 'bare', 'left', 'reset', 'late', 'refused'] as const;

interface Planned {
  readonly kind: (typeof KINDS)[number];
  readonly caller: Caller;
  readonly windows: Windows;
  readonly stream: number;
  readonly question: Buffer;
  readonly answer: Buffer;
  readonly withTrailers: boolean;
  /** Where the resets of either side come: after so many octets. */
  readonly cutAt: number;
  asked: number;
  askedAll: boolean;
  at: Arrival | undefined;
  refusals: number;
  headSent: boolean;
  answered: number;
  answeredAll: boolean;
  outcome: Outcome | undefined;
  over: boolean;
}

class Round {
  private readonly random: () => number;
  private readonly calls: Planned[] = [];
  private readonly peers = new Map<Peer, Windows>();
  private readonly backends = new Set<Peer>();
  private readonly cuts: boolean;
  /** A connection to a backend was cut. */
  private cutSome = false;

  constructor(seed: number) {
    this.random = generator(seed);
    this.cuts = this.random() < 0.4;
  }

  private below(most: number): number {
    return Math.floor(this.random() * most);
  }

  private windowsOf(peer: Peer): Windows {
    let windows = this.peers.get(peer);
    if (windows === undefined) {
      windows = new Windows(peer);
      this.peers.set(peer, windows);
    }
    return windows;
  }

  async run(t: TestContext, remember: boolean): Promise<void> {
    const upstreams = await Promise.all(
      Array.from({ length: 2 }, () =>
        upstreamFor(t, {
          credits: false,
          settings: [
            [Setting.MAX_CONCURRENT_STREAMS, 1 + this.below(30)],
            [Setting.INITIAL_WINDOW_SIZE, this.below(3) === 0 ? 1 + this.below(200) : 65_535],
          ],
          onStream: arrival => this.arrived(arrival),
        }),
      ),
    );
    const rig = await startRig(
      t,
      upstreams.map(({ address }) => address),
      { proxy: { rememberHeaders: remember } },
    );
    const callers = await Promise.all(
      Array.from({ length: 3 }, () =>
        rig.caller({
          credits: false,
          settings: [[Setting.INITIAL_WINDOW_SIZE, this.below(3) === 0 ? 1 + this.below(200) : 65_535]],
        }),
      ),
    );
    for (let n = 0; n < CALLS; n++) this.plan(callers[n % callers.length] as Caller, n);
    // Windows of a few octets and a busy machine: it ends in a second or two, and must end at all.
    const end = performance.now() + 60_000;
    while (this.calls.some(({ over }) => !over)) {
      for (let n = this.below(20); n >= 0; n--) this.step();
      await turn();
      if (performance.now() > end) this.stuck();
    }
    for (const call of this.calls) this.judge(call);
  }

  private plan(caller: Caller, n: number): void {
    const kind = KINDS[this.below(KINDS.length)] as Planned['kind'];
    const size = (): number =>
      [0, this.below(100), this.below(20_000), this.below(200_000)][this.below(4)] as number;
    const bytes = (): Buffer => {
      const out = Buffer.alloc(size());
      for (let i = 0; i < out.length; i++) out[i] = this.below(256);
      return out;
    };
    const question = bytes();
    const answer = bytes();
    const stream = caller.open(
      request(undefined, [
        ['x-call', String(n)],
        ...(kind === 'late' ? [['grpc-timeout', `${20 + this.below(200)}m`] as const] : []),
      ]),
    );
    const call: Planned = {
      kind,
      caller,
      windows: this.windowsOf(caller),
      stream,
      question,
      answer,
      withTrailers: this.below(8) === 0,
      cutAt: this.below(1 + (kind === 'left' ? question.length : answer.length)),
      asked: 0,
      askedAll: false,
      at: undefined,
      refusals: kind === 'refused' ? 1 : 0,
      headSent: false,
      answered: 0,
      answeredAll: false,
      outcome: undefined,
      over: false,
    };
    void caller.outcome(stream).then(outcome => {
      call.outcome = outcome;
      call.over = true;
    });
    this.calls.push(call);
  }

  private arrived(arrival: Arrival): void {
    const n = Number(arrival.fields.find(([name]) => name === 'x-call')?.[1]);
    const call = this.calls[n] as Planned;
    this.backends.add(arrival.peer);
    this.windowsOf(arrival.peer);
    assert.equal(call.answered, 0, 'a call that was answered in part came again');
    call.at = arrival;
    call.headSent = false;
  }

  private step(): void {
    const call = this.calls[this.below(this.calls.length)] as Planned;
    const what = this.below(10);
    if (what < 4) this.ask(call);
    else if (what < 8) this.answer(call);
    else if (what === 8) for (const windows of this.peers.values()) windows.credit(this.random());
    else if (this.cuts && this.below(400) === 0) this.cut();
  }

  private ask(call: Planned): void {
    if (call.over || call.askedAll) return;
    if (call.kind === 'left' && call.asked >= call.cutAt) {
      call.caller.send(reset(call.stream, Code.CANCEL));
      call.windows.forget(call.stream);
      call.over = true;
      return;
    }
    const { question, stream, windows } = call;
    const left = question.length - call.asked;
    const room = windows.room(stream);
    const octets = Math.min(left, room, 1 + this.below(20_000));
    const padding = this.below(6) === 0 ? Math.min(255, room - octets - 1) : -1;
    const last = octets === left && !call.withTrailers && this.below(2) === 0;
    if (octets > 0 || last) {
      windows.send(stream, question.subarray(call.asked, call.asked + octets), last, padding);
      call.asked += octets;
      call.askedAll = last;
    } else if (left === 0) {
      if (call.withTrailers) call.caller.send(headers(stream, encode([['x-sum', '1']]), Flag.END_STREAM));
      else windows.send(stream, Buffer.alloc(0), true);
      call.askedAll = true;
    }
  }

  private answer(call: Planned): void {
    const { at, answer, kind } = call;
    if (at === undefined || call.over || call.answeredAll || at.peer.isClosed) return;
    const there = at.peer.answer(at.stream);
    if (there.reset !== undefined) return;
    if (call.refusals > 0) {
      call.refusals--;
      call.at = undefined;
      at.peer.send(reset(at.stream, Code.REFUSED_STREAM));
      return;
    }
    if (kind === 'bare') {
      at.peer.sendHeaders(at.stream, [...RESPONSE, ['grpc-status', '5']], Flag.END_STREAM);
      call.answeredAll = true;
      return;
    }
    if (!call.headSent) {
      call.headSent = true;
      at.peer.send(headers(at.stream, encode(RESPONSE)));
      return;
    }
    if (kind === 'reset' && call.answered >= call.cutAt) {
      at.peer.send(reset(at.stream, Code.INTERNAL_ERROR));
      call.answeredAll = true;
      return;
    }
    const windows = this.windowsOf(at.peer);
    const left = answer.length - call.answered;
    const room = windows.room(at.stream);
    const octets = Math.min(left, room, 1 + this.below(20_000));
    if (octets > 0) {
      const padding = this.below(6) === 0 ? Math.min(255, room - octets - 1) : -1;
      windows.send(at.stream, answer.subarray(call.answered, call.answered + octets), false, padding);
      call.answered += octets;
      return;
    }
    // `late` never ends by itself, `early` does before its request has.
    if (left > 0 || kind === 'late' || (kind !== 'early' && !there.ended)) return;
    at.peer.sendHeaders(at.stream, OK, Flag.END_STREAM);
    call.answeredAll = true;
  }

  /** Ends a connection to a backend, with all calls on it. */
  private cut(): void {
    const peers = [...this.backends].filter(peer => !peer.isClosed);
    const peer = peers[this.below(peers.length)];
    if (peer === undefined) return;
    this.cutSome = true;
    peer.abort();
  }

  private judge(call: Planned): void {
    const { kind, outcome, at, question, answer } = call;
    const what = `${kind}, ${question.length} octets up, ${answer.length} down: ${outcome?.grpcMessage}`;
    if (at !== undefined) {
      const seen = Buffer.concat(at.peer.answer(at.stream).data);
      assert.ok(seen.equals(question.subarray(0, seen.length)), `${what}: the question came otherwise`);
      const whole = kind === 'normal' || kind === 'refused';
      if (whole && outcome?.grpcStatus === 0) assert.equal(seen.length, question.length, what);
    }
    if (kind === 'left') return;
    const got = Buffer.concat(outcome?.data ?? []);
    assert.ok(got.equals(answer.subarray(0, got.length)), `${what}: the answer came otherwise`);
    assert.equal(outcome?.lost, false, what);
    // Also one whose request was still on its way there.
    const lost =
      this.cutSome && /^backend .* (reset|closed) its connection$/.test(outcome?.grpcMessage ?? '');
    if (lost) {
      assert.equal(outcome?.grpcStatus, Status.UNAVAILABLE);
      return;
    }
    // Once more than is held was sent, nobody else can have it.
    if (
      kind === 'refused' &&
      outcome?.grpcStatus === Status.UNAVAILABLE &&
      call.asked > PROXY_LIMITS.replayBytes
    ) {
      assert.match(outcome.grpcMessage, /REFUSED_STREAM/);
      return;
    }
    const expected = { normal: 0, refused: 0, early: 0, bare: 5, reset: 13, late: 4 }[kind];
    assert.equal(outcome?.grpcStatus, expected, what);
    if (expected === 0) assert.equal(got.length, answer.length, what);
  }

  private stuck(): never {
    const stuck = this.calls.filter(({ over }) => !over);
    throw new Error(
      `${stuck.length} calls do not end: ${stuck
        .slice(0, 5)
        .map(
          call =>
            `${call.kind} (${call.asked}/${call.question.length} up, ${call.answered}/${call.answer.length} down, ` +
            `asked ${call.askedAll}, arrived ${call.at !== undefined}, answered ${call.answeredAll})`,
        )
        .join('; ')}`,
    );
  }
}

for (let n = 0; n < ROUNDS; n++) {
  test(`round ${n}`, async t => new Round(SEED + n).run(t, n % 2 === 0));
}
