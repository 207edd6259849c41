/**
 * Whether the peer of a connection lives: it has calls of ours and says nothing, so it is asked (PING), and where
 * that is not answered either it is silent. Silence alone says nothing: a stream may have nothing to say for hours.
 */
import { PROXY_LIMITS } from '../core/limits.ts';

/** What is to be done now. */
export type Verdict = 'nothing' | 'ask' | 'silent' | 'spoke' | 'dead';

export class Liveness {
  /** No answer is coming: no new calls. */
  silent = false;
  /** Since when an answer could have come, ms. */
  private since = 0;
  /** A call has begun, or an answer has come, that nothing was heard after. */
  private doubt = false;
  /** A PING is not answered. */
  private asked = false;
  private askedAt = Number.NEGATIVE_INFINITY;
  private pings = 0;

  /** A PING is not answered: how long that is borne is of interest. */
  get isAsked(): boolean {
    return this.asked;
  }

  /** A call was sent. */
  began(now: number): void {
    if (this.doubt) return;
    this.doubt = true;
    if (!this.asked) this.since = now;
  }

  /** Headers or DATA came. */
  answered(): void {
    this.pings = 0;
    this.doubt = true;
  }

  /**
   * To be asked now and then.
   *
   * @param lastRead when octets came last, ms
   * @param calls that are open
   * @param patienceMs how long a PING may be unanswered, counted from the last octets; read while `isAsked`
   */
  look(now: number, lastRead: number, calls: number, patienceMs: number): Verdict {
    if (lastRead > this.since) this.since = lastRead;
    const silence = now - this.since;
    if (this.asked) {
      if (lastRead > this.askedAt) {
        this.asked = this.doubt = false;
        if (!this.silent) return 'nothing';
        this.silent = false;
        return 'spoke';
      }
      if (silence > PROXY_LIMITS.silenceEndMs) return 'dead';
      if (this.silent || silence <= patienceMs) return 'nothing';
      this.silent = true;
      return 'silent';
    }
    if (calls === 0) this.doubt = false;
    const due = this.doubt
      ? silence > PROXY_LIMITS.silencePingMs
      : calls > 0 && silence > PROXY_LIMITS.pingAgainMs;
    const allowed = this.pings < PROXY_LIMITS.pingsUnearned || now - this.askedAt > PROXY_LIMITS.pingAgainMs;
    if (!due || !allowed) return 'nothing';
    this.asked = true;
    this.askedAt = now;
    this.pings++;
    return 'ask';
  }
}
