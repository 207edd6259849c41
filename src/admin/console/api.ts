/** Requests beside the stream. */
import { useEffect, useRef, useState } from 'preact/hooks';

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(`api/${path}`, signal === undefined ? {} : { signal });
  if (!response.ok) throw new Error(await reasonOf(response));
  return (await response.json()) as T;
}

/** Changes something; rejects with the balancer's words where it may not be. */
export async function post(action: string, body: object): Promise<void> {
  const response = await fetch(`api/servers/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await reasonOf(response));
}

async function reasonOf(response: Response): Promise<string> {
  try {
    return ((await response.json()) as { error: string }).error;
  } catch {
    return `${response.status} ${response.statusText}`;
  }
}

export interface Polled<T> {
  readonly value: T | undefined;
  /** Why there is none, or no newer one. */
  readonly problem: string;
}

/** Asks again and again while the page is seen. `path` undefined asks nothing. */
export function usePolled<T>(path: string | undefined, everyMs: number): Polled<T> {
  const [state, setState] = useState<Polled<T> & { readonly of: string | undefined }>({
    value: undefined,
    problem: '',
    of: path,
  });
  const latest = useRef(path);
  latest.current = path;
  useEffect(() => {
    if (path === undefined) return;
    const leaving = new AbortController();
    let timer = 0;
    const ask = async (): Promise<void> => {
      if (document.visibilityState === 'visible') {
        try {
          const value = await get<T>(path, leaving.signal);
          if (latest.current === path) setState({ value, problem: '', of: path });
        } catch (error) {
          if (leaving.signal.aborted) return;
          const problem = error instanceof Error ? error.message : String(error);
          setState(before => ({ value: before.of === path ? before.value : undefined, problem, of: path }));
        }
      }
      if (!leaving.signal.aborted) timer = window.setTimeout(ask, everyMs);
    };
    void ask();
    return () => {
      leaving.abort();
      clearTimeout(timer);
    };
  }, [path, everyMs]);
  return state.of === path ? state : { value: undefined, problem: '' };
}
