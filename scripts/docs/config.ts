/** The reference of the configuration: the keys of the schema, section by section. */
import { type Key, listKeys } from '../../src/config/reference.ts';
import { POLICIES } from '../../src/core/policies/policies.ts';

/** A configuration with most of the keys that have an effect; a test reads it. */
export const CONFIG_EXAMPLE = `
instance: { id: lb-1, zone: z1, advertise: { control: 10.0.0.5:4701 } }
control:
  listen: 127.0.0.1:4701
  reportInterval: 1s
  allowBackends: [127.0.0.0/8, 10.0.0.0/8]
admin: { listen: 127.0.0.1:4702 }
servers:
  - { id: a, address: 127.0.0.1:50051, services: [echo.v1.EchoService], weight: 1, zone: z1 }
  - { id: b, address: 127.0.0.1:50052, services: [echo.v1.EchoService], labels: { rack: r1 } }
  - { id: spare, address: 127.0.0.1:50053, services: [echo.v1.EchoService], standby: true }
pools:
  - { service: '*', policy: least-load, zoneFactor: 1.5 }
health: { forgetAfter: 10m }
telemetry: { logs: { level: info } }
`;

export function renderConfig(): string {
  const keys = listKeys();
  const topLevel = keys.filter(key => key.path.length === 1);
  return `# Configuration

Generated from the schema by \`node scripts/docs.ts\`; not edited.

\`heapmesh serve --config FILE\` reads one YAML file. Every key may be left out; without a file the balancer
runs on loopback with an in-memory log. A key that is not listed here is an error. \`heapmesh check FILE\` tells
every mistake with its line and column, and warns of keys that have no effect in this version.

- Durations are written \`250ms\`, \`1s\`, \`1m30s\`, \`2h\`; a number without a unit is an error.
- Addresses are \`host:port\`, with brackets around IPv6: \`[::1]:4701\`. Port 0 takes a free one where it listens.
- Listening beyond loopback needs \`--insecure\`: there is no TLS and no authentication yet.
- On SIGHUP, or when the file changes, the keys marked **live** are taken over; for others the balancer says
  that they take effect at the next start. A file with a mistake changes nothing.
- Flags of \`heapmesh serve\` go before the file.

\`\`\`yaml
${CONFIG_EXAMPLE.trim()}
\`\`\`

${topLevel.map(key => section(key, keys)).join('\n')}`;
}

function section(top: Key, all: readonly Key[]): string {
  const [name] = top.path;
  const own = all.filter(key => key.path[0] === name && key.path.length > 1);
  const heading = `## ${name}\n\n${sentence(top)}\n`;
  if (own.length === 0) return heading;
  const rows = own.filter(key => key.info.kind !== 'map').map(row);
  const policies = name === 'pools' ? `\nPolicies:\n\n${policyList()}\n` : '';
  return `${heading}\n| key | value | default | |\n|---|---|---|---|\n${rows.join('\n')}\n${policies}`;
}

function sentence({ info }: Key): string {
  if (info.reserved === true) return `${info.about} Not available in this version: the key is an error.`;
  return info.live === true ? `${info.about} **live**` : info.about;
}

function row(key: Key): string {
  const { info } = key;
  const marks = [
    info.about,
    ...(info.live === true ? ['**live**'] : []),
    ...(info.reserved === true ? ['*Not available in this version: the key is an error.*'] : []),
  ].join(' ');
  const fallback = key.default === undefined ? '' : `\`${key.default}\``;
  return `| \`${key.name}\` | ${info.kind} | ${fallback} | ${marks.replaceAll('|', '\\|')} |`;
}

function policyList(): string {
  return Object.entries(POLICIES)
    .map(([name, about]) => `- \`${name}\`: ${about}`)
    .join('\n');
}
