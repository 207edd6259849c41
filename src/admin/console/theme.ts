/** Light or dark: as the system has it, until the reader chooses. */
import { useEffect, useState } from 'preact/hooks';

const KEY = 'heapmesh-theme';
export type Theme = 'light' | 'dark';

function chosen(): Theme | undefined {
  try {
    const text = window.localStorage.getItem(KEY);
    return text === 'light' || text === 'dark' ? text : undefined;
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
    return undefined;
  }
}

export function useTheme(): readonly [Theme, () => void] {
  const system = window.matchMedia('(prefers-color-scheme: dark)');
  const [theme, setTheme] = useState<Theme>(chosen() ?? (system.matches ? 'dark' : 'light'));
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  useEffect(() => {
    const onSystem = ({ matches }: MediaQueryListEvent): void => {
      if (chosen() === undefined) setTheme(matches ? 'dark' : 'light');
    };
    system.addEventListener('change', onSystem);
    return () => system.removeEventListener('change', onSystem);
  }, []);
  const toggle = (): void => {
    const next = theme === 'dark' ? 'light' : 'dark';
    setTheme(next);
    try {
      window.localStorage.setItem(KEY, next);
    } catch {
      // As above.
    }
  };
  return [theme, toggle];
}
