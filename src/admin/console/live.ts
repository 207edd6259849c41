/** Keeps the stream open: again after it broke, and not while nobody looks. */
import type { Hello, Update } from '../wire.ts';
import type { Store } from './store.ts';

/** The balancer says something each second; silence of this length is a dead connection, ms. */
const SILENCE_MS = 6_000;
const FIRST_RETRY_MS = 400;
const LONGEST_RETRY_MS = 5_000;
/** A browser gives a site six connections: consoles that nobody looks at must not hold them. */
const HIDDEN_MS = 20_000;

export interface Looking {
  readonly service: string;
  readonly zone: string;
}

export function keepLive(store: Store, looking: Looking): () => void {
  let source: EventSource | undefined;
  let retry: number | undefined;
  let hide: number | undefined;
  let wait = FIRST_RETRY_MS;
  let heardAt = 0;

  const close = (): void => {
    clearTimeout(retry);
    source?.close();
    source = undefined;
  };
  const lose = (): void => {
    close();
    store.setStatus('lost');
    retry = window.setTimeout(open, wait);
    wait = Math.min(2 * wait, LONGEST_RETRY_MS);
  };
  const open = (): void => {
    close();
    heardAt = performance.now();
    source = new EventSource(`api/stream?${new URLSearchParams({ ...looking })}`);
    source.addEventListener('hello', ({ data }) => {
      const hello = JSON.parse(data) as Hello;
      // The page in use is older than the balancer that serves it.
      if (store.hello !== undefined && store.hello.build !== hello.build) window.location.reload();
      wait = FIRST_RETRY_MS;
      heardAt = performance.now();
      store.begin(hello);
    });
    source.addEventListener('update', ({ data }) => {
      heardAt = performance.now();
      store.apply(JSON.parse(data) as Update);
    });
    source.addEventListener('error', lose);
  };
  const watch = window.setInterval(() => {
    if (source !== undefined && performance.now() - heardAt > SILENCE_MS) lose();
  }, 1_000);
  const onVisibility = (): void => {
    clearTimeout(hide);
    if (document.visibilityState === 'visible') {
      if (source === undefined) open();
      return;
    }
    hide = window.setTimeout(() => {
      close();
      store.setStatus('paused');
    }, HIDDEN_MS);
  };
  document.addEventListener('visibilitychange', onVisibility);
  open();
  return () => {
    close();
    clearTimeout(hide);
    clearInterval(watch);
    document.removeEventListener('visibilitychange', onVisibility);
  };
}
