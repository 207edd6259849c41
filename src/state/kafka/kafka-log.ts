/**
 * The log on Kafka: one topic of one partition, whose offsets are the positions (offset + 1). Every
 * instance appends its proposals there and reads everyone's. A second topic holds snapshots, so that a new
 * instance need not read all.
 *
 * Nothing here is waited for by a call or a pick. While the cluster is away, own changes hold on this
 * instance, wait, and are kept in a local file; each counts once however often it was sent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry, Proposal } from '../../core/entries.ts';
import { KAFKA_LIMITS } from '../../core/limits.ts';
import type { LoadNote } from '../../core/load-note.ts';
import { EMPTY_SNAPSHOT, type Snapshot } from '../../core/snapshot.ts';
import { Reader } from '../bytes.ts';
import { decodeProposal, MAY_SKIP, Message } from '../codec.ts';
import { filesIn } from '../files.ts';
import { decodeLoads, encodeLoads } from '../load-codec.ts';
import type { Log, LogStatus, OnEntry, OpenedLog } from '../log.ts';
import { Fences } from './fences.ts';
import { Outbox } from './outbox.ts';
import { reasonOf } from './reasons.ts';
import { LogFault, type Recovery, recover } from './recover.ts';
import { Sender } from './sender.ts';
import { type KafkaCluster, kafkaCode, Session } from './session.ts';
import { Snapshots } from './snapshots.ts';
import { Spool } from './spool.ts';
import { type Topics, topicsOf } from './topics.ts';

export interface KafkaLogOptions extends KafkaCluster {
  readonly topic: string;
  /** Folder of the file of waiting changes. */
  readonly directory: string;
  readonly instanceId: string;
  /** A complaint, or a change that a person should know of. */
  readonly onNote?: (text: string) => void;
  readonly onError?: (error: unknown) => void;
  /** How long `open` waits for the cluster, ms. */
  readonly openMs?: number;
}

/** A whole new state, where entries were missed: `settled` is the number of the last own proposal in it. */
export type OnSnapshot = (snapshot: Snapshot, settled: number) => void;

export class KafkaLog implements Log {
  readonly kind = 'kafka';
  readonly #options: KafkaLogOptions;
  readonly #topics: Topics;
  readonly #outbox: Outbox;
  readonly #spool: Spool;
  readonly #snapshots: Snapshots;
  readonly #sender: Sender;
  #fences = new Fences();
  /** By instance, its last note of load. */
  readonly #loads = new Map<string, Buffer>();
  readonly #followers = new Set<OnEntry>();
  /** Entries that nobody has followed yet; undefined once somebody has. */
  #backlog: Entry[] | undefined = [];
  #onSnapshot: OnSnapshot | undefined;
  #onHeard: ((instanceId: string) => void) | undefined;
  readonly #listeners = new Set<(status: LogStatus) => void>();

  /** Offset of the next record to read. */
  #next = 0;
  #start = 0;
  #end = 0;
  #recovered = false;
  #closed = false;
  /** Ends the waits of both loops. */
  readonly #ending = new AbortController();
  #loops: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  /** Of this life, as its proposals say. */
  #epoch = 0;
  /** Why this instance may not write any more; empty where it may. */
  #banned = '';
  #lastAnswer = 0;
  #lastFault = '';
  #told: LogStatus['state'] = 'healthy';
  readonly #counts = { copies: 0, fenced: 0, unread: 0, brokers: 0 };

  private constructor(options: KafkaLogOptions, spool: Spool, left: readonly Buffer[]) {
    this.#options = options;
    this.#topics = topicsOf(options.topic);
    this.#spool = spool;
    this.#outbox = new Outbox(spool, left, now);
    this.#snapshots = new Snapshots(options, this.#topics);
    this.#sender = new Sender({
      cluster: options,
      topics: this.#topics,
      key: Buffer.from(options.instanceId),
      outbox: this.#outbox,
      snapshots: this.#snapshots,
      mayWrite: () => this.#recovered && this.#banned === '',
      onFault: why => {
        this.#lastFault = why;
      },
      pause: attempt => this.#pause(backoffMs(attempt)),
    });
    this.#lastAnswer = now();
  }

  /**
   * Opens the log of a cluster, and makes its topics where they are missing. Where the cluster does not
   * answer in time, this instance begins with nothing, and catches up once it is there.
   *
   * @throws LogFault where the topics are not what a log needs; whatever the local file fails with.
   */
  static async open(options: KafkaLogOptions): Promise<OpenedLog & { readonly log: KafkaLog }> {
    const { spool, left } = await Spool.open(filesIn(options.directory));
    const log = new KafkaLog(options, spool, left);
    try {
      const recovery = await log.#recover(now() + (options.openMs ?? KAFKA_LIMITS.openMs));
      if (recovery !== undefined) log.#begin(recovery);
    } catch (error) {
      await spool.close();
      throw error;
    }
    const epoch = Math.max(log.#fences.get(options.instanceId)?.epoch ?? 0, log.#outbox.epoch);
    const loads = [...log.#loads.values()].map(message => decodeLoads(message));
    const recovered = { snapshot: log.#snapshots.last ?? EMPTY_SNAPSHOT, loads, epoch };
    log.#snapshots.last = undefined;
    log.#run();
    return { log, recovered };
  }

  get first(): number {
    return this.#start + 1;
  }

  get last(): number {
    return this.#next;
  }

  append(proposal: Proposal): Promise<number> {
    if (this.#closed) return Promise.reject(new Error('the log is closed: it takes no more entries'));
    this.#epoch = proposal.epoch;
    const kept = this.#outbox.add(proposal);
    this.#sender.wake();
    return kept;
  }

  follow(after: number, onEntry: OnEntry): () => void {
    if (this.#closed) throw new Error('the log is closed: it cannot be followed');
    if (this.#backlog === undefined && after !== this.#next) {
      throw new RangeError(`this log can be followed behind position ${this.#next}, not behind ${after}`);
    }
    const backlog = this.#backlog ?? [];
    this.#backlog = undefined;
    this.#followers.add(onEntry);
    for (const entry of backlog) if (entry.position > after) this.#deliver(entry);
    return () => this.#followers.delete(onEntry);
  }

  noteLoads(note: LoadNote): void {
    this.#sender.note(encodeLoads(note));
  }

  /** Where snapshots come from, and who takes one where entries were missed. */
  serveSnapshots(take: () => Snapshot, onSnapshot: OnSnapshot): void {
    this.#snapshots.take = take;
    this.#onSnapshot = onSnapshot;
  }

  /** Calls for every record of an instance, its notes of load among them. */
  onHeard(listener: (instanceId: string) => void): void {
    this.#onHeard = listener;
  }

  status(): LogStatus {
    const waiting = this.#outbox.size;
    const silentMs = Math.round(now() - this.#lastAnswer);
    const state = this.#state();
    const figures = {
      position: this.#next,
      behind: Math.max(0, this.#end - this.#next),
      silentMs: state === 'healthy' ? 0 : silentMs,
      waitingMs: Math.round(this.#outbox.oldestMs()),
      inFile: this.#outbox.inFile,
      snapshotPosition: this.#snapshots.position,
      snapshotsWritten: this.#snapshots.written,
      appended: this.#sender.appended,
      ...this.#counts,
    };
    return { state, why: this.#why(state), pending: waiting, durable: this.#next, figures };
  }

  onStatus(listener: (status: LogStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** What waits gets a moment to reach the log; what does not is in the local file. */
  async close(): Promise<void> {
    if (this.#closed) return;
    const until = now() + KAFKA_LIMITS.closeMs;
    while (this.#outbox.size > 0 && now() < until && this.#state() === 'healthy') await sleep(10);
    this.#closed = true;
    clearInterval(this.#timer);
    this.#ending.abort();
    this.#sender.end();
    await this.#loops;
    await this.#outbox.spool(0);
    await this.#spool.close();
    this.#followers.clear();
  }

  #state(): LogStatus['state'] {
    if (this.#banned !== '') return 'read-only';
    const silent = now() - this.#lastAnswer > KAFKA_LIMITS.behindMs;
    return !this.#recovered || silent || this.#outbox.oldestMs() > KAFKA_LIMITS.behindMs
      ? 'behind'
      : 'healthy';
  }

  #why(state: LogStatus['state']): string {
    if (state === 'healthy') return '';
    if (state === 'read-only') return this.#banned;
    const silent = now() - this.#lastAnswer > KAFKA_LIMITS.behindMs || !this.#recovered;
    const what = silent ? 'does not answer' : 'takes no changes';
    const fault = this.#lastFault === '' ? '' : ` (${this.#lastFault})`;
    const file = this.#outbox.fault === '' ? 'in the local file' : `in memory alone (${this.#outbox.fault})`;
    const { size } = this.#outbox;
    const waits = size === 0 ? '' : `; ${size === 1 ? '1 change waits' : `${size} changes wait`} ${file}`;
    return `Kafka at ${this.#options.brokers.join(', ')} ${what}${fault}${waits}: this instance goes on from memory`;
  }

  /** Undefined where the cluster does not answer until then. */
  async #recover(deadline: number): Promise<Recovery | undefined> {
    for (let attempt = 0; !this.#closed; attempt++) {
      const session = new Session(this.#options, attempt);
      try {
        const recovery = await Promise.race([recover(session, this.#topics), this.#patience(deadline)]);
        if (recovery !== undefined) return recovery;
      } catch (error) {
        if (error instanceof LogFault) throw error;
        this.#lastFault = reasonOf(error);
      } finally {
        void session.close();
      }
      if (now() >= deadline) return undefined;
      await this.#pause(Math.min(backoffMs(attempt), Math.max(0, deadline - now())));
    }
    return undefined;
  }

  async #patience(deadline: number): Promise<undefined> {
    if (deadline === Number.POSITIVE_INFINITY) return new Promise(() => {});
    await this.#pause(Math.max(0, deadline - now()));
    return undefined;
  }

  /** Takes over what the cluster had: before anybody follows as a backlog, afterwards as a new state. */
  #begin({ envelope, tail, next, start, checked }: Recovery): void {
    const { snapshot, fences, loads, position } = envelope;
    this.#counts.brokers = checked.brokers;
    for (const text of checked.complaints) this.#options.onNote?.(text);
    this.#fences = new Fences(fences);
    for (const message of loads) this.#hear(Buffer.from(message));
    this.#start = start;
    this.#next = position;
    this.#snapshots.begin(position);
    const settled = this.#fences.get(this.#options.instanceId);
    if (this.#backlog !== undefined) this.#snapshots.last = snapshot;
    else this.#onSnapshot?.(snapshot, settled?.epoch === this.#epoch ? settled.n : 0);
    this.#outbox.settled(this.#fences, this.#options.instanceId, position);
    for (const { offset, value } of tail) this.#take(offset, value);
    this.#next = next;
    this.#end = Math.max(this.#end, next);
    this.#recovered = true;
    this.#sender.wake();
    this.#answered();
  }

  #run(): void {
    this.#timer = setInterval(() => {
      void this.#outbox.spool();
      this.#tell();
    }, KAFKA_LIMITS.spoolAfterMs / 2);
    this.#loops = Promise.all([this.#readAll(), this.#sender.run()]).catch(error =>
      this.#options.onError?.(error),
    );
  }

  async #readAll(): Promise<void> {
    let attempt = 0;
    let session = new Session(this.#options, attempt);
    while (!this.#closed) {
      try {
        if (!this.#recovered) await this.#catchUp();
        const got = await session.fetch(this.#topics.log, this.#next, KAFKA_LIMITS.fetchWaitMs);
        if (got.start >= 0) this.#start = got.start;
        if (got.end >= 0) this.#end = got.end;
        attempt = 0;
        this.#answered();
        await this.#takeAll(got.records);
        this.#next = Math.max(this.#next, got.next);
      } catch (error) {
        if (this.#closed) break;
        this.#lastFault = reasonOf(error);
        // Records that this instance has not read are gone, or it has been away for longer than they are kept.
        if (kafkaCode(error) === 'OFFSET_OUT_OF_RANGE') this.#recovered = false;
        void session.close();
        await this.#pause(backoffMs(attempt));
        session = new Session(this.#options, ++attempt);
      }
    }
    await session.close();
  }

  async #catchUp(): Promise<void> {
    try {
      const recovery = await this.#recover(Number.POSITIVE_INFINITY);
      if (recovery === undefined) return;
      if (recovery.next < this.#next) {
        throw new LogFault(
          `the topic ${this.#topics.log} ends before position ${this.#next}, which was there before`,
        );
      }
      this.#begin(recovery);
    } catch (error) {
      if (!(error instanceof LogFault)) throw error;
      this.#ban(`${error.message}; this instance goes on from memory: restart it once that is mended`);
      await new Promise<void>(resolve => this.#ending.signal.addEventListener('abort', () => resolve()));
    }
  }

  /** In slices, so that a long list does not hold up calls. */
  async #takeAll(records: readonly { readonly offset: number; readonly value: Buffer }[]): Promise<void> {
    let slice = 0;
    for (const { offset, value } of records) {
      this.#take(offset, value);
      if (++slice % 200 === 0) await new Promise(resolve => setImmediate(resolve));
      if (this.#closed) return;
    }
  }

  #take(offset: number, value: Buffer): void {
    const position = offset + 1;
    this.#next = position;
    const type = value[0] ?? 0;
    let own = false;
    try {
      if (type === Message.PROPOSAL) own = this.#takeProposal(position, decodeProposal(value));
      else if (type === Message.LOADS) own = this.#hear(value);
      else if (type === Message.MARK) this.#snapshots.marked(value, position);
      else if (!(type & MAY_SKIP))
        throw new Error(`a record of type ${type}, which this version does not know`);
    } catch (error) {
      this.#counts.unread++;
      if (this.#counts.unread === 1)
        this.#options.onNote?.(`position ${position} of ${this.#topics.log} is left out: ${reasonOf(error)}`);
    }
    if (this.#backlog !== undefined) this.#snapshots.count(value.length);
    else {
      this.#snapshots.passed(value.length, own, () => ({
        position,
        fences: this.#fences.all(),
        loads: [...this.#loads],
      }));
      // It rests where it has written all it had, and what is read is no word to it.
      if (this.#snapshots.isDue) this.#sender.wake();
    }
  }

  #takeProposal(position: number, proposal: Proposal): boolean {
    const { origin, epoch, n } = proposal;
    const own = origin === this.#options.instanceId;
    const passing = this.#fences.pass(proposal);
    if (passing === 'copy') this.#counts.copies++;
    if (passing === 'earlier-life') this.#counts.fenced++;
    if (own && this.#epoch > 0 && epoch > this.#epoch) {
      this.#ban(
        `another process runs as ${origin}, and began later: what this one writes does not count any more; end one of them, or give it another instance.id`,
      );
    }
    if (passing === 'new') {
      const entry = { position, proposal };
      if (this.#backlog !== undefined) this.#backlog.push(entry);
      else this.#deliver(entry);
      this.#onHeard?.(origin);
    }
    if (own && passing !== 'earlier-life') this.#outbox.read(epoch, n, position);
    return own;
  }

  #deliver(entry: Entry): void {
    for (const onEntry of this.#followers) {
      try {
        onEntry(entry);
      } catch (error) {
        this.#options.onError?.(error);
      }
    }
  }

  /** A note of load: only whose it is matters here. True where it is an own one. */
  #hear(message: Buffer): boolean {
    const from = new Reader(message);
    from.byte();
    const origin = from.string();
    this.#loads.delete(origin);
    this.#loads.set(origin, message);
    if (this.#loads.size > KAFKA_LIMITS.origins)
      this.#loads.delete(this.#loads.keys().next().value as string);
    this.#onHeard?.(origin);
    return origin === this.#options.instanceId;
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#ending.signal }).catch(() => {});
  }

  #answered(): void {
    this.#lastAnswer = now();
    this.#tell();
  }

  #ban(why: string): void {
    if (this.#banned !== '') return;
    this.#banned = why;
    this.#options.onNote?.(why);
    this.#tell();
  }

  #tell(): void {
    const state = this.#state();
    if (state === this.#told) return;
    this.#told = state;
    if (state === 'healthy') this.#lastFault = '';
    const status = this.status();
    for (const listener of this.#listeners) listener(status);
  }
}

function now(): number {
  return performance.now();
}

function backoffMs(attempt: number): number {
  return Math.min(KAFKA_LIMITS.maxRetryMs, KAFKA_LIMITS.firstRetryMs * 2 ** Math.min(attempt, 10));
}
