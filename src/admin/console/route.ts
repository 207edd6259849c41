/** Where the reader is, in the fragment of the address: `#/calls?pool=echo.v1.EchoService&backend=a`. */
import { useEffect, useState } from 'preact/hooks';

export const TABS = ['overview', 'backends', 'calls', 'connections', 'events', 'findings'] as const;
export type Tab = (typeof TABS)[number];

export interface Place {
  readonly tab: Tab;
  /** Empty: all servers. Null: not chosen. */
  readonly pool: string | null;
  /** Empty: that of the pool's root. */
  readonly zone: string;
  /** Id of the server whose details are open; empty: none. */
  readonly backend: string;
}

function read(): Place {
  const [, name = '', query = ''] = /^#\/?([^?]*)\??(.*)$/.exec(window.location.hash) ?? [];
  const fields = new URLSearchParams(query);
  return {
    tab: TABS.find(tab => tab === name) ?? 'overview',
    pool: fields.get('pool'),
    zone: fields.get('zone') ?? '',
    backend: fields.get('backend') ?? '',
  };
}

export function hrefOf(place: Place): string {
  const fields = new URLSearchParams();
  if (place.pool !== null) fields.set('pool', place.pool);
  if (place.zone !== '') fields.set('zone', place.zone);
  if (place.backend !== '') fields.set('backend', place.backend);
  const query = fields.toString();
  return `#/${place.tab}${query === '' ? '' : `?${query}`}`;
}

export type Go = (change: Partial<Place>) => void;

export function usePlace(): readonly [Place, Go] {
  const [place, setPlace] = useState(read);
  useEffect(() => {
    const onChange = (): void => setPlace(read());
    window.addEventListener('hashchange', onChange);
    return () => window.removeEventListener('hashchange', onChange);
  }, []);
  return [place, change => (window.location.hash = hrefOf({ ...read(), ...change }))];
}
