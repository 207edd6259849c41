/** What is wrong, in words, as `heapmesh diagnose` says it. */
import { type Polled, usePolled } from '../api.ts';
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

export function useFindings(): Polled<FindingsAnswer> {
  return usePolled<FindingsAnswer>('findings', EVERY_MS);
}

interface FindingsProps {
  readonly findings: Polled<FindingsAnswer>;
  readonly onOpen: (id: string) => void;
}

export function Findings({ findings: { value, problem }, onOpen }: FindingsProps) {
  const findings = value?.findings;
  return (
    <Panel title="Findings" class="tall">
      {findings === undefined && <p class="empty">{problem === '' ? 'Asking…' : problem}</p>}
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
            <p>{marked(finding.detail)}</p>
            <p class="advice">{marked(finding.advice)}</p>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

/** Names of settings and commands stand between backticks. */
function marked(text: string) {
  return text.split('`').map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part));
}
