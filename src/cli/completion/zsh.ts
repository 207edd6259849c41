/** The completion script for zsh, with descriptions. */
import type { CommandWords, Values } from './describe.ts';

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/** `name:description` for _describe, where a colon in the name is escaped. */
const described = (name: string, about: string) => quote(`${name.replaceAll(':', '\\:')}:${about}`);

function candidates(values: Values): string {
  switch (values) {
    case 'none':
      return ':';
    case 'files':
      return '_files';
    case 'ids':
    case 'services':
      return `compadd -- \${(f)"$(heapmesh __complete ${values} 2>/dev/null)"}`;
    default:
      return `compadd -- ${values.map(quote).join(' ')}`;
  }
}

export function renderZsh(tree: readonly CommandWords[]): string {
  const lines = [
    '#compdef heapmesh',
    '# Completion of heapmesh for zsh: put it into a folder of $fpath as _heapmesh, or source it.',
    '_heapmesh() {',
    '  local cmd=heapmesh prev= word',
    '  local -a items',
    `  for word in "\${(@)words[2,CURRENT-1]}"; do`,
    '    case "$cmd $word" in',
    ...tree
      .filter(({ path }) => path !== 'heapmesh')
      .map(({ path }) => `      ${quote(path)}) cmd="$cmd $word" ;;`),
    '    esac',
    '    prev=$word',
    '  done',
    '  case "$cmd|$prev" in',
  ];
  for (const { path, options } of tree) {
    for (const { names, values } of options) {
      if (values === undefined) continue;
      const patterns = names.map(name => quote(`${path}|${name}`)).join('|');
      lines.push(`    ${patterns}) ${candidates(values)}; return ;;`);
    }
  }
  lines.push('  esac', '  case "$cmd" in');
  for (const { path, subcommands, options, values } of tree) {
    const flags = options.flatMap(({ names, about }) => names.map(name => described(name, about)));
    const names = subcommands.map(({ name, about }) => described(name, about));
    lines.push(
      `    ${quote(path)})`,
      '      if [[ $PREFIX == -* ]]; then',
      `        items=(${flags.join(' ')}); _describe option items`,
      names.length > 0
        ? `      else items=(${names.join(' ')}); _describe command items; fi ;;`
        : `      else ${candidates(values)}; fi ;;`,
    );
  }
  lines.push(
    '  esac',
    '}',
    '',
    `if [[ \${funcstack[1]} == _heapmesh ]]; then _heapmesh "$@"; else compdef _heapmesh heapmesh; fi`,
    '',
  );
  return lines.join('\n');
}
