/** The frame of all pages: where one is, how the connection is, and what is asked. */
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { type Asked, Question } from './actions.tsx';
import { age, count } from './format.ts';
import { keepLive } from './live.ts';
import { Keys } from './parts/keys.tsx';
import { hrefOf, type Place, TABS, type Tab, usePlace } from './route.ts';
import { Store } from './store.ts';
import { useTheme } from './theme.ts';
import { Backends } from './views/backends.tsx';
import { Calls } from './views/calls.tsx';
import { Connections } from './views/connections.tsx';
import { Details } from './views/details.tsx';
import { Events } from './views/events.tsx';
import { Findings, useFindings } from './views/findings.tsx';
import { Overview } from './views/overview.tsx';

const NAMES: Readonly<Record<Tab, string>> = {
  overview: 'Overview',
  backends: 'Servers',
  calls: 'Calls',
  connections: 'Connections',
  events: 'Events',
  findings: 'Findings',
};
/** Older than this, what is shown may be wrong, ms. */
const OLD_MS = 3_000;
const TOAST_MS = 4_000;

export function App() {
  const store = useMemo(() => new Store(), []);
  const [place, go] = usePlace();
  const [theme, toggleTheme] = useTheme();
  const [asked, setAsked] = useState<Asked>();
  const [toast, setToast] = useState('');
  const [helps, setHelps] = useState(false);
  const opener = useRef<Element | null>(null);
  useChanges(store);
  const pools = [...store.pools.keys()].sort();
  const pool = place.pool ?? (pools.length === 1 ? (pools[0] as string) : '');
  useEffect(() => keepLive(store, { service: pool, zone: place.zone }), [store, pool, place.zone]);
  useEffect(() => {
    if (toast === '') return;
    const timer = setTimeout(() => setToast(''), TOAST_MS);
    return () => clearTimeout(timer);
  }, [toast]);
  const open = useCallback((id: string) => {
    opener.current = document.activeElement;
    go({ backend: id });
  }, []);
  const close = (): void => {
    go({ backend: '' });
    if (opener.current instanceof HTMLElement || opener.current instanceof SVGElement) opener.current.focus();
  };
  const findings = useFindings();
  const bad = findings.value?.findings.filter(({ severity }) => severity !== 'info').length ?? 0;
  const badges: Partial<Record<Tab, number>> = {
    backends: store.rows.size,
    calls: store.calls.length,
    connections: store.totals?.connections ?? 0,
    findings: bad,
  };
  const add = (): void => setAsked({ action: 'add', backend: undefined });
  const isOld = store.status !== 'live' || store.silence > OLD_MS;
  useTitle(store, bad);

  return (
    <div
      class={`app ${isOld && store.hello !== undefined ? 'old' : ''} ${place.backend === '' ? '' : 'with-details'}`}
    >
      <button type="button" class="skip" onClick={() => document.getElementById('main')?.focus()}>
        To the content
      </button>
      <header class="top">
        <h1>
          <Logo /> heapmesh <span class="instance mono">{store.hello?.instance ?? ''}</span>
        </h1>
        <label class="pool">
          <span>Pool</span>
          <select value={pool} onChange={event => go({ pool: event.currentTarget.value, zone: '' })}>
            <option value="">all servers</option>
            {/* A pool of the address that is not there, or not yet. */}
            {pool !== '' && !pools.includes(pool) && <option value={pool}>{pool}</option>}
            {pools.map(name => (
              <option key={name} value={name}>
                {name === '*' ? '* (every service)' : name}
              </option>
            ))}
          </select>
        </label>
        <Connection store={store} />
        <button
          type="button"
          class="button icon"
          onClick={toggleTheme}
          aria-label={`Use the ${theme === 'dark' ? 'light' : 'dark'} theme`}
          title="Theme (t)"
        >
          {theme === 'dark' ? '☀' : '☾'}
        </button>
        <button
          type="button"
          class="button icon"
          onClick={() => setHelps(true)}
          aria-label="Keys"
          title="Keys (?)"
        >
          ?
        </button>
      </header>
      <nav class="tabs" aria-label="Pages">
        {TABS.map(tab => (
          <TabLink
            key={tab}
            tab={tab}
            place={place}
            badge={badges[tab]}
            isBad={tab === 'findings' && bad > 0}
          />
        ))}
      </nav>
      <main id="main" tabIndex={-1}>
        {place.tab === 'overview' && (
          <Overview
            store={store}
            pool={pool}
            theme={theme}
            onOpen={open}
            onZone={zone => go({ zone })}
            onPool={service => go({ pool: service, zone: '' })}
          />
        )}
        {(place.tab === 'overview' || place.tab === 'backends') && (
          <Backends
            key={place.tab}
            store={store}
            selected={place.backend}
            onOpen={open}
            onAdd={add}
            isTall={place.tab === 'backends'}
          />
        )}
        {place.tab === 'calls' && <Calls store={store} onOpen={open} />}
        {place.tab === 'connections' && <Connections onOpen={open} />}
        {place.tab === 'events' && <Events store={store} onOpen={open} />}
        {place.tab === 'findings' && <Findings findings={findings} onOpen={open} />}
      </main>
      {place.backend !== '' && (
        <Details
          store={store}
          id={place.backend}
          theme={theme}
          onAction={(action, backend) => setAsked({ action, backend })}
          onClose={close}
        />
      )}
      {asked !== undefined && (
        <Question
          asked={asked}
          services={pool === '' ? pools : [pool]}
          onDone={setToast}
          onClose={() => setAsked(undefined)}
        />
      )}
      <Keys
        helps={helps}
        onHelp={setHelps}
        onTab={at => TABS[at] !== undefined && go({ tab: TABS[at] as Tab })}
        onTheme={toggleTheme}
        onEscape={() => place.backend !== '' && close()}
      />
      <output class={`toast ${toast === '' ? '' : 'shown'}`}>{toast}</output>
      <p class="unseen" aria-live="polite">
        {announcement(store)}
      </p>
    </div>
  );
}

/** A large change comes in many parts: it is drawn so often meanwhile, ms. */
const PARTS_MS = 400;
const OFTEN_MS = 900;

/** Draws anew when something was told, and each second where nothing was, since what is shown grows old by itself. */
function useChanges(store: Store): void {
  const [, draw] = useState(0);
  useEffect(() => {
    let frame = 0;
    let drawn = 0;
    const due = (): void => {
      frame ||= requestAnimationFrame(now => {
        frame = 0;
        drawn = now;
        draw(n => n + 1);
      });
    };
    const unsubscribe = store.subscribe(more => {
      if (!more || performance.now() - drawn > PARTS_MS) due();
    });
    const timer = setInterval(() => performance.now() - drawn > OFTEN_MS && due(), 250);
    return () => {
      unsubscribe();
      clearInterval(timer);
      cancelAnimationFrame(frame);
    };
  }, [store]);
}

function useTitle(store: Store, bad: number): void {
  const name = store.hello?.instance ?? '';
  const title = `${bad > 0 ? `(${bad}) ` : ''}${name === '' ? '' : `${name} · `}Heapmesh`;
  useEffect(() => {
    document.title = title;
  }, [title]);
}

/** The newest change of a state, for screen readers; not what was there before the page was. */
function announcement(store: Store): string {
  const event = store.events.find(({ kind }) => kind === 'state_changed');
  if (event === undefined || store.now() - event.time > 5_000) return '';
  return `${event.serverId} is ${event.state?.toLowerCase() ?? 'changed'}: ${event.cause}`;
}

function Connection({ store }: { readonly store: Store }) {
  const { status, silence, hello } = store;
  const since = age(silence);
  const isLate = silence > OLD_MS;
  if (status === 'live' && !isLate) return <output class="live ok">live</output>;
  const text = {
    connecting: 'connecting…',
    paused: `paused; data is ${since} old`,
    live: `data is ${since} old`,
    lost: hello === undefined ? 'cannot reach the balancer; trying…' : `reconnecting; data is ${since} old`,
  }[status];
  return <output class="live bad">{text}</output>;
}

interface TabProps {
  readonly tab: Tab;
  readonly place: Place;
  readonly badge: number | undefined;
  readonly isBad: boolean;
}

function TabLink({ tab, place, badge, isBad }: TabProps) {
  return (
    <a href={hrefOf({ ...place, tab })} aria-current={place.tab === tab ? 'page' : undefined}>
      {NAMES[tab]}
      {badge !== undefined && badge > 0 && <span class={`count ${isBad ? 'bad' : ''}`}>{count(badge)}</span>}
    </a>
  );
}

function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" class="logo">
      <path d="M16 8 7 22M16 8v14M16 8l9 14" />
      <circle cx="16" cy="8" r="5" />
      <circle cx="7" cy="23" r="4" />
      <circle cx="16" cy="23" r="4" />
      <circle cx="25" cy="23" r="4" />
    </svg>
  );
}
