/** What is wrong, in words, as `heapmesh diagnose` says it. */
import { usePolled } from '../api.ts';
import { Panel } from '../parts/panel.tsx';

interface Finding {
  readonly severity: 'critical' | 'warning' | 'info';
  readonly title: string;
  readonly detail: string;
  readonly advice: string;
  readonly subject: string;
  readonly scope: 'instance' | 'pool' | 'backend';
  /** Id of a server, service of a pool, or empty. */
  readonly key: string;
}

interface FindingsAnswer {
  readonly findings: readonly Finding[];
}

const EVERY_MS = 5_000;
const WORDS = { critical: 'Critical', warning: 'Warning', info: 'Note' } as const;

export function useFindings(): readonly Finding[] | undefined {
  return usePolled<FindingsAnswer>('findings', EVERY_MS).value?.findings;
}

interface FindingsProps {
  readonly findings: readonly Finding[] | undefined;
  readonly onOpen: (id: string) => void;
}

export function Findings({ findings, onOpen }: FindingsProps) {
  return (
    <Panel title="Findings" class="tall">
      {findings === undefined && <p class="empty">Asking…</p>}
      {findings?.length === 0 && <p class="empty">Nothing is found wrong in what was measured of late.</p>}
      <ul class="findings">
        {findings?.map(finding => (
          <li key={`${finding.title} ${finding.subject}`} class={`finding ${finding.severity}`}>
            <h3>
              <span class="severity">{WORDS[finding.severity]}</span> {finding.title}:{' '}
              {finding.scope === 'backend' ? (
                <button type="button" class="link mono" onClick={() => onOpen(finding.key)}>
                  {finding.subject}
                </button>
              ) : (
                <span class="mono">{finding.subject}</span>
              )}
            </h3>
            <p>{finding.detail}</p>
            <p class="advice">{finding.advice}</p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
