/** What `heapmesh call` prints: answers as they come, or one document in the end. */
import type { JsonValue } from '@bufbuild/protobuf';
import type { Metadata } from '@grpc/grpc-js';
import { Status, statusName } from '../../grpc/status.ts';
import type { Io } from '../cli.ts';
import { fieldViolations } from '../grpc-error.ts';
import { printJson } from '../options.ts';
import { formatLatency } from '../render/format.ts';
import { clean, paintFor } from '../render/style.ts';
import type { CallOptions, MethodName } from './call.ts';
import type { Result } from './invoke.ts';
import type { Target } from './target.ts';

export class Report {
  readonly #target: Target;
  readonly #name: MethodName;
  readonly #options: CallOptions;
  readonly #io: Io;
  readonly #answers: JsonValue[] = [];
  #header: Record<string, string[]> = {};

  constructor(target: Target, name: MethodName, options: CallOptions, io: Io) {
    this.#target = target;
    this.#name = name;
    this.#options = options;
    this.#io = io;
    if (options.output === 'json') return;
    const paint = paintFor(io.stderr, io.env);
    const backend =
      target.id === '' || target.id === target.address ? target.address : `${target.id} (${target.address})`;
    io.stderr.write(`${paint('bold', clean(backend))}: ${clean(target.why)}\n`);
  }

  header(metadata: Metadata): void {
    this.#header = plainMetadata(metadata);
    if (this.#options.verbose === true) this.#printMetadata('header', this.#header);
  }

  answer(answer: JsonValue): void {
    if (this.#options.output === 'json') this.#answers.push(answer);
    else this.#io.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`);
  }

  end({ status, latencyMs }: Result): void {
    const trailer = plainMetadata(status.metadata);
    const [packed] = status.metadata.get('grpc-status-details-bin');
    const violations = fieldViolations(Buffer.isBuffer(packed) ? packed : undefined);
    const name = statusName(status.code);
    if (this.#options.output === 'json') {
      const { id, address, why } = this.#target;
      const error = { code: status.code, name, message: status.details, violations };
      printJson(this.#io, {
        ...this.#name,
        backend: { id, address, why },
        status: error,
        latencyMs: Number(latencyMs.toFixed(3)),
        header: this.#header,
        answers: this.#answers,
        trailer,
      });
      return;
    }
    if (this.#options.verbose === true) this.#printMetadata('trailer', trailer);
    const paint = paintFor(this.#io.stderr, this.#io.env);
    const fine = status.code === Status.OK;
    const details = clean(plainDetails(status.details));
    const message = fine || details === '' ? '' : `: ${details}`;
    this.#io.stderr.write(
      `${paint(fine ? 'green' : 'red', name)} in ${formatLatency(latencyMs)}${message}\n`,
    );
    for (const violation of violations) this.#io.stderr.write(`  ${violation}\n`);
  }

  #printMetadata(kind: string, metadata: Record<string, string[]>): void {
    for (const [name, values] of Object.entries(metadata)) {
      for (const value of values) this.#io.stderr.write(`${kind} ${clean(name)}: ${clean(value)}\n`);
    }
  }
}

/** grpc-js ends what it says of a lost connection with a heading that has nothing below it. */
function plainDetails(details: string): string {
  return details.replace(/ Resolution note: $/, '');
}

/** Binary values as base64. */
function plainMetadata(metadata: Metadata): Record<string, string[]> {
  const names = Object.keys(metadata.getMap());
  return Object.fromEntries(
    names.map(name => [
      name,
      metadata.get(name).map(value => (Buffer.isBuffer(value) ? value.toString('base64') : value)),
    ]),
  );
}
