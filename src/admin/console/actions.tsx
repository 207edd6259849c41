/** What an operator can do to servers, each with a question first. */
import type { ServerState } from '../../core/core.ts';
import { post } from './api.ts';
import { ChoiceField, Dialog, TextField } from './parts/dialog.tsx';
import { type Backend, loadOf } from './store.ts';

export type Action = 'drain' | 'undrain' | 'activate' | 'weight' | 'remove';

export interface Asked {
  readonly action: Action | 'add';
  readonly backend: Backend | undefined;
}

/** The actions that make sense for a server in a state. */
export function actionsFor(state: ServerState): Action[] {
  const first: Record<ServerState, Action[]> = {
    ACTIVE: ['drain'],
    WARMING: ['drain'],
    EJECTED: ['drain'],
    DRAINING: ['undrain'],
    STANDBY: ['activate'],
  };
  return [...first[state], 'weight', 'remove'];
}

export const ACTION_TEXT: Readonly<Record<Action, string>> = {
  drain: 'Drain',
  undrain: 'Undrain',
  activate: 'Activate',
  weight: 'Weight…',
  remove: 'Remove…',
};

const TIMEOUTS = {
  '10000': '10 seconds',
  '30000': '30 seconds',
  '120000': '2 minutes',
  '600000': '10 minutes',
};
const DRAINS = { '0': 'at once', ...TIMEOUTS };

interface QuestionProps {
  readonly asked: Asked;
  readonly services: readonly string[];
  readonly onDone: (text: string) => void;
  readonly onClose: () => void;
}

export function Question({ asked, services, onDone, onClose }: QuestionProps) {
  const { action, backend } = asked;
  if (action === 'add') return <AddQuestion services={services} onDone={onDone} onClose={onClose} />;
  if (backend === undefined) return null;
  const { id } = backend;
  const inFlight = (loadOf(backend, 'relayed') ?? 0) + (loadOf(backend, 'leased') ?? 0);
  const ask = (body: (fields: FormData) => object, done: string) => async (fields: FormData) => {
    await post(action, { id, ...body(fields) });
    onDone(done);
  };
  const common = { onClose };
  switch (action) {
    case 'drain':
      return (
        <Dialog
          {...common}
          title={`Drain ${id}?`}
          doing="Drain"
          onConfirm={ask(
            fields => ({ cause: text(fields, 'cause'), timeoutMs: Number(text(fields, 'timeout')) }),
            `${id} is draining`,
          )}
        >
          <p>
            It gets no new calls.{' '}
            {inFlight > 0
              ? `${inFlight} calls are in flight here and may end.`
              : 'No call is in flight here.'}
          </p>
          <TextField label="Why" name="cause" about="Shown to everyone who asks." />
          <ChoiceField label="Calls in flight may take" name="timeout" choices={TIMEOUTS} value="30000" />
        </Dialog>
      );
    case 'undrain':
      return (
        <Dialog
          {...common}
          title={`Undrain ${id}?`}
          doing="Undrain"
          onConfirm={ask(() => ({}), `${id} takes calls again`)}
        >
          <p>It takes calls again, and warms up first.</p>
        </Dialog>
      );
    case 'activate':
      return (
        <Dialog
          {...common}
          title={`Activate ${id}?`}
          doing="Activate"
          onConfirm={ask(fields => ({ cause: text(fields, 'cause') }), `${id} joins`)}
        >
          <p>The standby joins its pools, at the root of their heaps.</p>
          <TextField label="Why" name="cause" about="Shown to everyone who asks." />
        </Dialog>
      );
    case 'weight':
      return (
        <Dialog
          {...common}
          title={`Weight of ${id}`}
          doing="Set weight"
          onConfirm={ask(
            fields => ({ weight: numberIn(fields, 'weight', 'a weight') }),
            `the weight of ${id} is changed`,
          )}
        >
          <TextField
            label="Weight"
            name="weight"
            value={String(backend.weight)}
            about="Multiplies its learned capacity: 0.5 gets half of its share. 0 takes an operator's weight back."
          />
        </Dialog>
      );
    default:
      return (
        <Dialog
          {...common}
          title={`Remove ${id}?`}
          doing="Remove"
          isDangerous
          onConfirm={ask(fields => ({ timeoutMs: Number(text(fields, 'timeout')) }), `${id} is removed`)}
        >
          <p>
            It is out, whoever claims it, until it is undrained or added again.{' '}
            {inFlight > 0 && `${inFlight} calls are in flight here.`}
          </p>
          <ChoiceField label="It leaves" name="timeout" choices={DRAINS} value="30000" />
        </Dialog>
      );
  }
}

function AddQuestion({ services, onDone, onClose }: Omit<QuestionProps, 'asked'>) {
  const add = async (fields: FormData): Promise<void> => {
    const address = text(fields, 'address');
    await post('add', {
      address,
      id: text(fields, 'id'),
      services: text(fields, 'services')
        .split(/[\s,]+/)
        .filter(Boolean),
      zone: text(fields, 'zone'),
      weight: numberIn(fields, 'weight', 'a weight'),
      standby: text(fields, 'role') === 'standby',
    });
    onDone(`${text(fields, 'id') || address} is added`);
  };
  return (
    <Dialog title="Add a server" doing="Add" onConfirm={add} onClose={onClose}>
      <TextField label="Address" name="address" required about="host:port, such as 10.0.0.7:50051" />
      <TextField
        label="Services"
        name="services"
        value={services.join(' ')}
        required
        about="Full names; * is every service."
      />
      <TextField label="Id" name="id" about="Where it is empty: the address." />
      <div class="fields">
        <TextField label="Zone" name="zone" />
        <TextField label="Weight" name="weight" value="1" />
      </div>
      <ChoiceField
        label="It"
        name="role"
        choices={{ joins: 'joins now', standby: 'waits as a standby' }}
        value="joins"
      />
    </Dialog>
  );
}

function text(fields: FormData, name: string): string {
  return String(fields.get(name) ?? '').trim();
}

function numberIn(fields: FormData, name: string, what: string): number {
  const value = Number(text(fields, name));
  if (text(fields, name) === '' || !Number.isFinite(value)) throw new Error(`${what} is a number`);
  return value;
}
