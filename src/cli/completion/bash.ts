/** The completion script for bash, from version 3.2 (that of macOS) on. */
import type { CommandWords, Values } from './describe.ts';

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

function candidates(values: Values): string {
  switch (values) {
    case 'none':
      return ':';
    case 'files':
      return 'COMPREPLY=($(compgen -f -- "$cur"))';
    case 'ids':
    case 'services':
      return `COMPREPLY=($(compgen -W "$(heapmesh __complete ${values} 2>/dev/null)" -- "$cur"))`;
    default:
      return `COMPREPLY=($(compgen -W ${quote(values.join(' '))} -- "$cur"))`;
  }
}

export function renderBash(tree: readonly CommandWords[]): string {
  const lines = [
    '# Completion of heapmesh for bash: source <(heapmesh completion bash)',
    '_heapmesh() {',
    `  local line=\${COMP_LINE:0:COMP_POINT} cur= prev= cmd=heapmesh word i options names`,
    '  local -a words',
    '  # Words end at spaces only: ids are addresses, and readline breaks words at their colons.',
    '  read -ra words <<<"$line"',
    `  local count=\${#words[@]}`,
    `  if [[ $line != *[[:space:]] ]]; then cur=\${words[count-1]}; count=$((count - 1)); fi`,
    '  for ((i = 1; i < count; i++)); do',
    `    word=\${words[i]}`,
    '    case "$cmd $word" in',
    ...tree
      .filter(({ path }) => path !== 'heapmesh')
      .map(({ path }) => `      ${quote(path)}) cmd="$cmd $word" ;;`),
    '    esac',
    '    prev=$word',
    '  done',
    '  COMPREPLY=()',
    '  case "$cmd|$prev" in',
  ];
  for (const { path, options } of tree) {
    for (const { names, values } of options) {
      if (values === undefined) continue;
      const patterns = names.map(name => quote(`${path}|${name}`)).join(' | ');
      lines.push(`    ${patterns}) ${candidates(values)}; _heapmesh_colons "$cur"; return ;;`);
    }
  }
  lines.push('  esac', '  case "$cmd" in');
  for (const { path, subcommands, options, values } of tree) {
    const flags = options.flatMap(option => option.names).join(' ');
    const names = subcommands.map(({ name }) => name).join(' ');
    lines.push(
      `    ${quote(path)})`,
      `      options=${quote(flags)} names=${quote(names)}`,
      `      [[ $cur == -* || -n $names ]] || { ${candidates(values)}; }`,
      '      ;;',
    );
  }
  lines.push(
    '  esac',
    '  if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$cur"))',
    '  elif [[ -n $names ]]; then COMPREPLY=($(compgen -W "$names" -- "$cur")); fi',
    '  _heapmesh_colons "$cur"',
    '}',
    '',
    '# Readline replaces what is behind the last colon only.',
    '_heapmesh_colons() {',
    '  [[ $1 == *:* && $COMP_WORDBREAKS == *:* ]] || return 0',
    `  local lead=\${1%"\${1##*:}"} i`,
    `  for ((i = 0; i < \${#COMPREPLY[@]}; i++)); do COMPREPLY[i]=\${COMPREPLY[i]#"$lead"}; done`,
    '}',
    '',
    'complete -F _heapmesh heapmesh',
    '',
  );
  return lines.join('\n');
}
