/** A share as a bar, with its number. */
import { percent } from '../format.ts';

export function Bar({ value }: { readonly value: number | null }) {
  const width = Math.max(0, Math.min(1, value ?? 0)) * 100;
  const level = (value ?? 0) >= 0.9 ? 'high' : (value ?? 0) >= 0.7 ? 'raised' : '';
  return (
    <span class={`meter ${level}`}>
      <span class="meter-track" aria-hidden="true">
        <span style={{ width: `${width}%` }} />
      </span>
      <span class="meter-text">{percent(value)}</span>
    </span>
  );
}
