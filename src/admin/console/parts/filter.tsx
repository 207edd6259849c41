/** A field that narrows a list; the key / leads here. */

interface FilterProps {
  /** What it looks at. */
  readonly about: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

export function Filter({ about, value, onChange }: FilterProps) {
  return (
    <label class="inline">
      <span aria-hidden="true">
        Filter <kbd>/</kbd>
      </span>
      <input
        class="filter"
        type="search"
        aria-label={about}
        value={value}
        onInput={event => onChange(event.currentTarget.value)}
      />
    </label>
  );
}
