/**
 * Spans on their way to the exporter: a bounded queue, sent in batches, one at a time. Nobody waits for it: where the
 * collector is gone, slow or full, what has no room is dropped and counted.
 */
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import type { Batch, SpanEncoder } from './encoder.ts';
import type { BatchExporter } from './exporter.ts';
import type { RecordedSpan } from './span.ts';

export interface QueueSettings {
  /** Spans that wait; what comes beyond them is dropped. */
  readonly most: number;
  /** Spans sent at once. */
  readonly batch: number;
  /** A batch that is not full is sent after this time, ms. */
  readonly delayMs: number;
  /** A batch that is not taken by then is given up, ms. */
  readonly timeoutMs: number;
}

/** Since the start. */
export interface SpanCounts {
  recorded: number;
  exported: number;
  /** Of a full queue. */
  dropped: number;
  /** In batches that the collector did not take. */
  failed: number;
}

export class ExportQueue {
  readonly counts: SpanCounts = { recorded: 0, exported: 0, dropped: 0, failed: 0 };
  private readonly encoder: SpanEncoder;
  private readonly exporter: BatchExporter;
  private readonly settings: QueueSettings;
  private readonly onState: (failure: string | undefined) => void;
  /** Whole ones; what is not enough for another one is in the encoder. */
  private batches: Batch[] = [];
  private batched = 0;
  private timer: NodeJS.Timeout | undefined;
  private sending: Promise<void> | undefined;
  private failure: string | undefined;
  private closed = false;

  /** @param onState hears that batches fail from now on, and why, or that they do no more */
  constructor(
    encoder: SpanEncoder,
    exporter: BatchExporter,
    settings: QueueSettings,
    onState: (failure: string | undefined) => void,
  ) {
    this.encoder = encoder;
    this.exporter = exporter;
    this.settings = settings;
    this.onState = onState;
  }

  /** Spans that wait. */
  get size(): number {
    return this.batched + this.encoder.spans;
  }

  /** One more would be dropped: whoever would make it need not. */
  get isFull(): boolean {
    return this.closed || this.size >= this.settings.most;
  }

  /** A span that was not made, as there is no room for it. */
  drop(): void {
    this.counts.recorded++;
    this.counts.dropped++;
  }

  add(span: RecordedSpan): void {
    if (this.isFull) {
      this.drop();
      return;
    }
    this.counts.recorded++;
    this.encoder.add(span);
    const isWhole = this.encoder.spans >= this.settings.batch;
    if (isWhole) this.seal();
    if (this.sending !== undefined) return;
    if (isWhole) this.arm(0);
    else if (this.timer === undefined) this.arm(this.settings.delayMs);
  }

  /** Sends what waits, for so long at most. */
  async close(graceMs: number): Promise<void> {
    const end = performance.now() + graceMs;
    while (this.size > 0 || this.sending !== undefined) {
      const left = end - performance.now();
      if (left <= 0) break;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>(resolve => {
        timer = setTimeout(resolve, left);
      });
      const failed = this.counts.failed;
      await Promise.race([this.sending ?? this.send(), late]);
      clearTimeout(timer);
      if (this.counts.failed > failed) break;
    }
    this.closed = true;
    clearTimeout(this.timer);
    this.counts.dropped += this.size;
    this.batches = [];
    this.batched = this.encoder.spans = 0;
    // It waits for what is under way, which may hang: its time-out ends that.
    this.exporter.shutdown().catch(() => {});
  }

  private arm(ms: number): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => {
      this.timer = undefined;
      if (this.sending === undefined) void this.send();
    }, ms).unref();
  }

  private seal(): void {
    const batch = this.encoder.take();
    this.batches.push(batch);
    this.batched += batch.spans;
  }

  private send(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.size === 0) return Promise.resolve();
    if (this.batches.length === 0) this.seal();
    const batch = this.batches.shift() as Batch;
    this.batched -= batch.spans;
    this.sending = this.give(batch).then(failure => {
      this.sending = undefined;
      if (failure === undefined) this.counts.exported += batch.spans;
      else this.counts.failed += batch.spans;
      if ((failure === undefined) !== (this.failure === undefined)) this.onState(failure);
      this.failure = failure;
      if (this.size > 0 && !this.closed) {
        this.arm(this.batches.length > 0 && failure === undefined ? 0 : this.settings.delayMs);
      }
    });
    return this.sending;
  }

  /** Resolves with what went wrong, undefined for nothing. Never rejects. */
  private give(batch: Batch): Promise<string | undefined> {
    return new Promise(resolve => {
      const { timeoutMs } = this.settings;
      const timer = setTimeout(() => resolve(`no answer within ${timeoutMs} ms`), timeoutMs).unref();
      const done = ({ code, error }: ExportResult): void => {
        clearTimeout(timer);
        resolve(code === ExportResultCode.SUCCESS ? undefined : (error?.message ?? 'refused'));
      };
      try {
        this.exporter.export(batch, done);
      } catch (error) {
        done({ code: ExportResultCode.FAILED, error: error as Error });
      }
    });
  }
}
