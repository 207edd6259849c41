/** The request of a call on its way to a backend: what is held up, what is kept for another try, what is credited. */
import { PROXY_LIMITS } from '../core/limits.ts';
import type { HeaderList } from '../http2/http2.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Call } from './call.ts';
import type { End } from './ends.ts';

export class RequestFlow {
  /** The caller has sent all of it. */
  ended = false;
  /** The backend has been given all of it. */
  sent = false;
  private readonly call: Call;
  private readonly queue = new ByteQueue();
  private trailers: HeaderList | undefined;
  /** Octets that the backend of now has taken, and that the caller was credited. */
  private taken = 0;
  private credited = 0;

  constructor(call: Call) {
    this.call = call;
  }

  /** True as long as all of it could go to another backend. */
  get replayable(): boolean {
    return this.queue.keeps;
  }

  /** True where nothing follows its head. */
  get isBare(): boolean {
    return this.ended && this.queue.pending === 0 && this.trailers === undefined;
  }

  begin(ended: boolean, keeps: boolean): void {
    this.queue.clear(keeps);
    this.ended = ended;
  }

  clear(): void {
    this.queue.clear(false);
    this.ended = this.sent = false;
    this.trailers = undefined;
    this.taken = this.credited = 0;
  }

  /** It will not be sent again. */
  forget(): void {
    this.queue.forget();
  }

  /** Another backend is to have it, from its beginning. */
  rewind(): void {
    this.queue.rewind();
    this.sent = false;
    this.taken = 0;
  }

  /** Octets from the caller, who may have ended by them. */
  data(buffer: Buffer, start: number, end: number, to: End | undefined, stream: number): void {
    const { queue, call } = this;
    const length = end - start;
    if (queue.keeps && queue.end + length > PROXY_LIMITS.replayBytes) queue.forget();
    if (queue.keeps || queue.pending > 0 || to === undefined) {
      queue.push(buffer, start, end);
      this.pump(to, stream);
      return;
    }
    this.sent = this.ended;
    const taken = to.sendData(stream, buffer, start, end, this.ended);
    // The end may have answered meanwhile, where it is this process itself.
    if (call.isFree || call.isOver) return;
    this.credit(taken);
    if (taken === length) return;
    this.sent = false;
    queue.push(buffer, start + taken, end);
  }

  /** The caller has ended by trailers. */
  close(trailers: HeaderList, to: End | undefined, stream: number): void {
    this.trailers = trailers.kept();
    this.pump(to, stream);
  }

  /** There is a backend, or it has room again. */
  pump(to: End | undefined, stream: number): void {
    const { queue, call, trailers } = this;
    if (to === undefined || this.sent) return;
    const { pending } = queue;
    const last = this.ended && trailers === undefined;
    if (pending > 0 || last) {
      this.sent = last;
      const taken = to.sendData(stream, queue.buffer, queue.at, queue.end, last);
      if (call.isFree || call.isOver) return;
      queue.advance(taken);
      this.credit(taken);
      if (taken < pending) {
        this.sent = false;
        return;
      }
    }
    if (trailers === undefined) return;
    this.sent = true;
    to.sendTrailers(stream, trailers);
  }

  private credit(taken: number): void {
    this.taken += taken;
    // What is sent a second time was credited the first time.
    const due = this.taken - this.credited;
    if (due <= 0) return;
    this.credited = this.taken;
    this.call.caller?.credit(this.call.callerStream, due);
  }
}
