/** A question in front of the page; the browser keeps the focus in it and closes it by Esc. */
import type { ComponentChildren } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';

interface DialogProps {
  readonly title: string;
  /** On the button that does it. */
  readonly doing: string;
  readonly isDangerous?: boolean;
  readonly children: ComponentChildren;
  /** Does it; what it rejects with is shown, and the dialog stays. */
  readonly onConfirm: (fields: FormData) => Promise<void>;
  readonly onClose: () => void;
}

export function Dialog({ title, doing, isDangerous, children, onConfirm, onClose }: DialogProps) {
  const id = useId();
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState('');
  const [isBusy, setBusy] = useState(false);
  useEffect(() => {
    dialog.current?.showModal();
  }, []);
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    setBusy(true);
    setProblem('');
    onConfirm(new FormData(event.currentTarget as HTMLFormElement))
      .then(onClose)
      .catch((error: Error) => {
        setProblem(error.message);
        setBusy(false);
      });
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby={id} onClose={onClose}>
      <form onSubmit={submit}>
        <h2 id={id}>{title}</h2>
        {children}
        <p class="problem" role="alert">
          {problem}
        </p>
        <div class="buttons">
          <button type="button" class="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button
            type="submit"
            class={`button ${isDangerous === true ? 'danger' : 'primary'}`}
            disabled={isBusy}
          >
            {doing}
          </button>
        </div>
      </form>
    </dialog>
  );
}

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly about?: string;
  readonly value?: string;
  readonly required?: boolean;
}

export function TextField({ label, name, about, value = '', required }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        name={name}
        defaultValue={value}
        required={required}
        autocomplete="off"
        aria-describedby={about === undefined ? undefined : `${id}-about`}
      />
      {about !== undefined && <small id={`${id}-about`}>{about}</small>}
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly name: string;
  readonly choices: Readonly<Record<string, string>>;
  readonly value: string;
}

export function ChoiceField({ label, name, choices, value }: ChoiceProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} name={name}>
        {Object.entries(choices).map(([key, text]) => (
          <option key={key} value={key} selected={key === value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}
