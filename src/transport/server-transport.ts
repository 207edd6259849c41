/** A connection that a caller made: what is looked after from its preface to its end, whatever is served on it. */
import type { Socket } from 'node:net';
import { formatHostPort } from '../core/host-port.ts';
import { TRANSPORT } from '../core/limits.ts';
import { ConnectionError, type ConnectionLimits } from '../http2/http2.ts';
import { Transport, type TransportShared } from './base-transport.ts';

export abstract class ServerTransport extends Transport {
  protected readonly begun: number;
  /** Since when it has been asked to leave, ms; NaN: it has not. */
  protected leavingSince = Number.NaN;
  private known: { readonly host: string; readonly port: number } | undefined;

  constructor(socket: Socket, limits: ConnectionLimits, shared: TransportShared, now: number) {
    super(socket, 'server', limits, shared, now);
    this.begun = now;
    this.connection.start();
  }

  /** Where it comes from; an IPv4-mapped address as IPv4. Empty where the socket had no peer any more. */
  get peer(): { readonly host: string; readonly port: number } {
    this.known ??= {
      host: this.socket.remoteAddress?.replace(/^::ffff:(?=.*\.)/, '') ?? '',
      port: this.socket.remotePort ?? 0,
    };
    return this.known;
  }

  /** The same as `host:port`. */
  get peerAddress(): string {
    const { host, port } = this.peer;
    return formatHostPort(host, port);
  }

  get draining(): boolean {
    return !Number.isNaN(this.leavingSince);
  }

  /** Asks it to leave: no new calls after a round trip; those that are open end in peace. */
  drain(now: number): void {
    if (this.draining) return;
    this.leavingSince = now;
    this.connection.drain();
  }

  /** Looks after it; to be called each `TRANSPORT.watchMs`. */
  watch(now: number): void {
    const { connection } = this;
    if (this.stalled(now)) {
      this.destroy();
      return;
    }
    if (this.ending) return;
    if (!connection.established) {
      // A caller that connects just now has its preface under way, and is told to leave by what it reads first.
      const patience = this.draining ? TRANSPORT.lingerMs : TRANSPORT.prefaceMs;
      if (now - Math.max(this.begun, this.leavingSince || 0) > patience) this.tooSilent();
      return;
    }
    if (connection.settingsPending && now - this.begun > TRANSPORT.settingsAckMs) {
      connection.fail(new ConnectionError('SETTINGS_LATE'));
      return;
    }
    if (!this.draining) {
      this.look(now);
      return;
    }
    if (now - this.leavingSince > TRANSPORT.goawayMs) connection.leave();
    this.lookLeaving(now);
    this.endIfLeft();
  }

  /** The last of its streams may be over. */
  protected endIfLeft(): void {
    const { connection } = this;
    if (connection.left && connection.openStreams === 0 && !connection.ended) this.end();
  }

  /** It sent no preface in time. */
  protected tooSilent(): void {
    this.destroy();
  }

  /** A look at one that is up and stays. */
  protected abstract look(now: number): void;

  /** A look at one that has been asked to leave. */
  protected lookLeaving(_now: number): void {}
}
