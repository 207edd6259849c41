/** What an operator can do from the console: JSON in, the control API's own handlers behind. */
import type { OperatorActions, Peer } from '../../control/control.ts';
import { Status } from '../../grpc/status.ts';
import type { AdminRequest, Route } from '../admin.ts';
import { HttpError, json } from '../reply.ts';

export function actionRoutes(operator: OperatorActions): Route[] {
  const route = (name: string, run: (fields: Fields, peer: Peer) => Promise<object>): Route => ({
    method: 'POST',
    path: `/api/servers/${name}`,
    handle: async request => {
      const fields = new Fields(request);
      try {
        return json(await run(fields, request.peer));
      } catch (error) {
        throw toHttp(error);
      }
    },
  });
  const simple = (name: 'drain' | 'undrain' | 'activate' | 'remove'): Route =>
    route(name, async (fields, peer) => {
      const action = {
        id: fields.text('id'),
        cause: fields.text('cause'),
        timeoutMs: fields.has('timeoutMs') ? fields.number('timeoutMs') : undefined,
      };
      fields.done();
      await operator[name](action, peer);
      return { id: action.id };
    });
  return [
    simple('drain'),
    simple('undrain'),
    simple('activate'),
    simple('remove'),
    route('weight', async (fields, peer) => {
      const id = fields.text('id');
      const weight = fields.number('weight');
      fields.done();
      await operator.weigh(id, weight, peer);
      return { id };
    }),
    route('add', async (fields, peer) => {
      const server = {
        id: fields.text('id'),
        address: fields.text('address'),
        services: fields.texts('services'),
        weight: fields.number('weight'),
        zone: fields.text('zone'),
        maxConcurrency: fields.number('maxConcurrency'),
        standby: fields.flag('standby'),
      };
      fields.done();
      return { id: await operator.add(server, peer) };
    }),
  ];
}

/** The fields of a JSON object, taken one by one; what is left out is empty, what is left over is a mistake. */
class Fields {
  private readonly object: Record<string, unknown>;
  private readonly taken = new Set<string>();

  constructor({ body }: AdminRequest) {
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch {
      throw new HttpError(400, 'the body is no JSON');
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new HttpError(400, 'the body is no JSON object');
    }
    this.object = value as Record<string, unknown>;
  }

  has(name: string): boolean {
    return this.object[name] !== undefined;
  }

  text(name: string): string {
    return this.take(name, '', 'a string', value => typeof value === 'string');
  }

  number(name: string): number {
    return this.take(name, 0, 'a number', value => typeof value === 'number' && Number.isFinite(value));
  }

  flag(name: string): boolean {
    return this.take(name, false, 'true or false', value => typeof value === 'boolean');
  }

  texts(name: string): readonly string[] {
    const isTexts = (value: unknown) => Array.isArray(value) && value.every(one => typeof one === 'string');
    return this.take<readonly string[]>(name, [], 'a list of strings', isTexts);
  }

  done(): void {
    const strange = Object.keys(this.object).find(name => !this.taken.has(name));
    if (strange !== undefined) throw new HttpError(400, `'${strange.slice(0, 100)}' is no field of this`);
  }

  private take<T>(name: string, missing: T, expected: string, fits: (value: unknown) => boolean): T {
    this.taken.add(name);
    const value = Object.hasOwn(this.object, name) ? this.object[name] : undefined;
    if (value === undefined) return missing;
    if (!fits(value)) throw new HttpError(400, `${name}: expected ${expected}`);
    return value as T;
  }
}

/** As google/rpc/code.proto has it, but that what the state of a server forbids is a conflict. */
const HTTP_STATUS: ReadonlyMap<number, number> = new Map([
  [Status.INVALID_ARGUMENT, 400],
  [Status.NOT_FOUND, 404],
  [Status.ALREADY_EXISTS, 409],
  [Status.FAILED_PRECONDITION, 409],
  [Status.PERMISSION_DENIED, 403],
  [Status.UNAVAILABLE, 503],
]);

function toHttp(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const status = HTTP_STATUS.get(error.code as number);
  return status === undefined ? error : new HttpError(status, error.message);
}
