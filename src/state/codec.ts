/**
 * Proposals as bytes: in the log file, and as messages of a log elsewhere.
 *
 *   message      = type:byte content
 *   type         = 0x01 proposal / 0x82 loads / 0x83 decision / 0x04 part of a snapshot / 0x85 mark of one /
 *                  0x86 the log was closed;
 *                  0 is none; with the bit 0x80 who does not know the type may skip it
 *   proposal     = origin:string epoch:varint n:varint time:double cause:string
 *                  preconditions:list(kind:byte content:block) body
 *   body         = kind:byte flags:byte content:block           flags: 1 may be skipped
 *   precondition content by kind:
 *     1 version    = id:string version:varint
 *     2 address    = id:string address:string
 *     3 standby    = id:string
 *     4 unanswered = failure:string
 *   body content by kind:
 *     1 claim      = source spec
 *     2 replace    = source specs:list(spec)
 *     3 unclaim    = source id:string how:byte                  how: 0 left / 1 lost
 *     4 forget, 5 remove, 7 undrain, 8 drained = id:string
 *     6 drain      = id:string by:drainer timeoutMs:number afterwards
 *     9 weight     = id:string weight:number
 *    10 activate   = id:string answers:byte [failure:string]
 *    11 observe    = id:string observed                          observed = phase flags:byte
 *                                                                  flags: 1 healthy, 2 doubtful
 *    12 join       = control:string proxy:string
 *    13 leave      = nothing
 *    14 retire     = instance:string epoch:varint
 *    15 policy     = service:string policy:string           may be skipped
 *    16 answer     = failure:string id:string               may be skipped
 *
 * Kinds are never given another meaning. A content may grow at its end by what an older version can do
 * without; what it cannot do without is a new kind. An unknown kind is kept as it is, with its bit.
 */
import type { Body, Precondition, Proposal } from '../core/entries.ts';
import { CodecError, Reader, Writer } from './bytes.ts';
import {
  readAfterwards,
  readDrainer,
  readList,
  readObservation,
  readSource,
  readSpec,
  UnknownValue,
  writeAfterwards,
  writeDrainer,
  writeObservation,
  writeSource,
  writeSpec,
} from './spec-codec.ts';

export const Message = {
  PROPOSAL: 0x01,
  LOADS: 0x82,
  DECISION: 0x83,
  SNAPSHOT: 0x04,
  MARK: 0x85,
  END: 0x86,
} as const;

/** Who does not know a message's type may skip it. */
export const MAY_SKIP = 0x80;

/** Flag of a body: an instance that does not know its kind need not. */
const BODY_MAY_SKIP = 1;

const BODIES = [
  'claim',
  'replace',
  'unclaim',
  'forget',
  'remove',
  'drain',
  'undrain',
  'drained',
  'weight',
  'activate',
  'observe',
  'join',
  'leave',
  'retire',
  'policy',
  'answer',
] as const satisfies readonly Body['kind'][];
const PRECONDITIONS = [
  'version',
  'address',
  'standby',
  'unanswered',
] as const satisfies readonly Precondition['kind'][];

/** What is kept of a kind that this version does not know. */
class Unread {
  readonly kind: number;
  readonly flags: number;
  readonly content: Uint8Array;

  constructor(kind: number, flags: number, content: Uint8Array) {
    this.kind = kind;
    this.flags = flags;
    this.content = content;
  }
}

/** Contents are written here first: their length stands before them. */
const content = new Writer();

/** The message of a proposal; a buffer of its own. */
export function encodeProposal(proposal: Proposal): Buffer {
  const out = new Writer();
  writeProposal(out, proposal);
  return out.copy();
}

/** @throws CodecError for what is no proposal. */
export function decodeProposal(message: Uint8Array): Proposal {
  return readProposal(new Reader(message));
}

/**
 * Appends the message of a proposal. Throws a RangeError for what the format has no place for; then
 * nothing that was written counts.
 */
function writeProposal(out: Writer, proposal: Proposal): void {
  out.byte(Message.PROPOSAL);
  out.string(proposal.origin);
  out.varint(proposal.epoch);
  out.varint(proposal.n);
  out.double(proposal.time);
  out.string(proposal.cause);
  const { preconditions = [], body } = proposal;
  out.varint(preconditions.length);
  for (const precondition of preconditions) writePrecondition(out, precondition);
  writeBody(out, body);
}

/** Reads a message; what was read of unknown kinds is copied. @throws CodecError */
export function readProposal(from: Reader): Proposal {
  const type = from.byte();
  if (type !== Message.PROPOSAL) throw new CodecError(`a message of type ${type} where a proposal belongs`);
  const origin = from.string();
  const epoch = from.varint();
  const n = from.varint();
  const time = from.double();
  const cause = from.string();
  const preconditions = readList(from, 2, readPrecondition);
  const body = readBody(from);
  return preconditions.length === 0
    ? { origin, epoch, n, time, cause, body }
    : { origin, epoch, n, time, cause, preconditions, body };
}

function writePrecondition(out: Writer, precondition: Precondition): void {
  if (precondition.kind === 'unknown') {
    const { kind, content } = unreadOf(precondition.raw);
    out.byte(kind);
    out.block(content);
    return;
  }
  content.reset();
  switch (precondition.kind) {
    case 'version':
      content.string(precondition.id);
      content.varint(precondition.version);
      break;
    case 'address':
      content.string(precondition.id);
      content.string(precondition.address);
      break;
    case 'standby':
      content.string(precondition.id);
      break;
    default:
      content.string(precondition.failure);
  }
  out.byte(PRECONDITIONS.indexOf(precondition.kind) + 1);
  out.block(content.view());
}

function readPrecondition(from: Reader): Precondition {
  const kind = from.byte();
  const outer = from.enter();
  const precondition = preconditionOf(from, kind);
  from.leave(outer);
  return precondition;
}

function preconditionOf(from: Reader, kind: number): Precondition {
  const name = PRECONDITIONS[kind - 1];
  switch (name) {
    case 'version':
      return { kind: name, id: from.string(), version: from.varint() };
    case 'address':
      return { kind: name, id: from.string(), address: from.string() };
    case 'standby':
      return { kind: name, id: from.string() };
    case 'unanswered':
      return { kind: name, failure: from.string() };
    default:
      return {
        kind: 'unknown',
        name: `number ${kind}`,
        raw: new Unread(kind, 0, from.copyFrom(from.offset)),
      };
  }
}

function writeBody(out: Writer, body: Body): void {
  if (body.kind === 'unknown') {
    const { kind, flags, content } = unreadOf(body.raw);
    out.byte(kind);
    out.byte(flags);
    out.block(content);
    return;
  }
  content.reset();
  writeContent(content, body);
  out.byte(BODIES.indexOf(body.kind) + 1);
  out.byte(body.kind === 'policy' || body.kind === 'answer' ? BODY_MAY_SKIP : 0);
  out.block(content.view());
}

function writeContent(out: Writer, body: Exclude<Body, { kind: 'unknown' }>): void {
  switch (body.kind) {
    case 'claim':
      writeSource(out, body.source);
      writeSpec(out, body.spec);
      break;
    case 'replace':
      writeSource(out, body.source);
      out.varint(body.specs.length);
      for (const spec of body.specs) writeSpec(out, spec);
      break;
    case 'unclaim':
      writeSource(out, body.source);
      out.string(body.id);
      out.bool(body.how === 'lost');
      break;
    case 'drain':
      out.string(body.id);
      writeDrainer(out, body.by);
      out.number(body.timeoutMs);
      writeAfterwards(out, body.afterwards);
      break;
    case 'weight':
      out.string(body.id);
      out.number(body.weight);
      break;
    case 'activate':
      out.string(body.id);
      out.bool(body.failure !== undefined);
      if (body.failure !== undefined) out.string(body.failure);
      break;
    case 'observe':
      out.string(body.id);
      writeObservation(out, body.observation);
      break;
    case 'join':
      out.string(body.control);
      out.string(body.proxy);
      break;
    case 'leave':
      break;
    case 'retire':
      out.string(body.instance);
      out.varint(body.epoch);
      break;
    case 'policy':
      out.string(body.service);
      out.string(body.policy);
      break;
    case 'answer':
      out.string(body.failure);
      out.string(body.id);
      break;
    default:
      out.string(body.id);
  }
}

function readBody(from: Reader): Body {
  const kind = from.byte();
  const flags = from.byte();
  if (kind === 0) throw new CodecError('a body of kind 0');
  const outer = from.enter();
  const start = from.offset;
  const name = BODIES[kind - 1];
  let body: Body | undefined;
  let why = '';
  try {
    if (name !== undefined) body = readContent(from, name);
  } catch (error) {
    if (!(error instanceof UnknownValue)) throw error;
    why = ` with ${error.message}`;
  }
  body ??= {
    kind: 'unknown',
    name: name === undefined ? `number ${kind}` : `${name}${why}`,
    maySkip: (flags & BODY_MAY_SKIP) !== 0,
    raw: new Unread(kind, flags, from.copyFrom(start)),
  };
  from.leave(outer);
  return body;
}

function readContent(from: Reader, kind: (typeof BODIES)[number]): Body {
  switch (kind) {
    case 'claim':
      return { kind, source: readSource(from), spec: readSpec(from) };
    case 'replace':
      return { kind, source: readSource(from), specs: readList(from, 8, readSpec) };
    case 'unclaim':
      return { kind, source: readSource(from), id: from.string(), how: from.bool() ? 'lost' : 'left' };
    case 'drain':
      return {
        kind,
        id: from.string(),
        by: readDrainer(from),
        timeoutMs: from.number(),
        afterwards: readAfterwards(from),
      };
    case 'weight':
      return { kind, id: from.string(), weight: from.number() };
    case 'activate': {
      const id = from.string();
      return from.bool() ? { kind, id, failure: from.string() } : { kind, id };
    }
    case 'observe':
      return { kind, id: from.string(), observation: readObservation(from) };
    case 'join':
      return { kind, control: from.string(), proxy: from.string() };
    case 'leave':
      return { kind };
    case 'retire':
      return { kind, instance: from.string(), epoch: from.varint() };
    case 'policy':
      return { kind, service: from.string(), policy: from.string() };
    case 'answer':
      return { kind, failure: from.string(), id: from.string() };
    default:
      return { kind, id: from.string() };
  }
}

function unreadOf(raw: unknown): Unread {
  if (raw instanceof Unread) return raw;
  throw new RangeError('an unknown kind can be written only as it was read');
}
