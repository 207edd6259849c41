/**
 * What the control API tells of itself on `node:diagnostics_channel`. Nothing is built for a channel
 * that nobody listens to.
 */
import { type Channel, channel } from 'node:diagnostics_channel';

/** Messages by the name of their channel. */
export interface ControlMessages {
  /** A pick was answered; `serverId` is empty where there was no lease. */
  'heapmesh:control:pick': { readonly service: string; readonly serverId: string; readonly failure: number };
  /** A backend has registered, taken its stream over from an older one, or changed its registration. */
  'heapmesh:control:registered': {
    readonly serverId: string;
    readonly address: string;
    readonly peer: string;
  };
  /** A registration was turned away. */
  'heapmesh:control:refused': { readonly serverId: string; readonly peer: string; readonly why: string };
  /** A report stream ended; `deregistered` tells whether the backend took its leave. */
  'heapmesh:control:stream-ended': { readonly serverId: string; readonly deregistered: boolean };
  /** A handler failed by a fault of ours. */
  'heapmesh:control:fault': { readonly path: string; readonly error: unknown };
}

const channels: Readonly<Record<keyof ControlMessages, Channel>> = {
  'heapmesh:control:pick': channel('heapmesh:control:pick'),
  'heapmesh:control:registered': channel('heapmesh:control:registered'),
  'heapmesh:control:refused': channel('heapmesh:control:refused'),
  'heapmesh:control:stream-ended': channel('heapmesh:control:stream-ended'),
  'heapmesh:control:fault': channel('heapmesh:control:fault'),
};

/** Whether somebody listens: for a path on which even the closure of `publish` counts. */
export function heard(name: keyof ControlMessages): boolean {
  return channels[name].hasSubscribers;
}

/** Publishes where somebody listens; `message` is called only then. */
export function publish<Name extends keyof ControlMessages>(
  name: Name,
  message: () => ControlMessages[Name],
): void {
  const target = channels[name];
  if (target.hasSubscribers) target.publish(message());
}
