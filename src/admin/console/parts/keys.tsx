/** Keys for the whole page, and the help that lists them. */
import { useEffect, useRef } from 'preact/hooks';

interface KeysProps {
  readonly helps: boolean;
  readonly onHelp: (helps: boolean) => void;
  /** The page's number, from 0. */
  readonly onTab: (at: number) => void;
  readonly onTheme: () => void;
  readonly onEscape: () => void;
}

const KEYS = [
  ['1 … 6', 'the pages, in their order'],
  ['/', 'filter'],
  ['Tab', 'from part to part; a table, or the heap, is one stop'],
  ['↑ ↓ ← →', 'from row to row, from node to node'],
  ['← → Space', 'in a table: sort by another column, the other way round'],
  ['Enter', 'details of a server, the trace of a call'],
  ['Esc', 'close the details'],
  ['t', 'light or dark'],
  ['?', 'this help'],
] as const;

export function Keys({ helps, onHelp, onTab, onTheme, onEscape }: KeysProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (helps) dialog.current?.showModal();
  }, [helps]);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]') !== null)
        return;
      if (event.key === 'Escape') {
        onEscape();
        return;
      }
      if (event.target instanceof HTMLElement && event.target.matches('input, select, textarea')) return;
      if (event.key === '/') {
        const filter = document.querySelector<HTMLInputElement>('main .filter');
        if (filter === null) return;
        event.preventDefault();
        filter.focus();
      } else if (event.key === '?') onHelp(true);
      else if (event.key === 't') onTheme();
      else if (/^[1-9]$/.test(event.key)) onTab(Number(event.key) - 1);
    };
    window.addEventListener('keydown', onKey);
    return () => window.removeEventListener('keydown', onKey);
  });
  return (
    <dialog ref={dialog} class="dialog" aria-label="Keys" onClose={() => onHelp(false)}>
      <h2>Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
      <div class="buttons">
        <button type="button" class="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
    </dialog>
  );
}
