/** The tree of commands as completion scripts need it. */
import type { Argument, Command, Option } from 'commander';

/** What completes a value: fixed words, what the balancer knows, files, or nothing. */
export type Values = readonly string[] | 'ids' | 'services' | 'files' | 'none';

export interface CommandWords {
  /** As one types it: `heapmesh servers add`. */
  readonly path: string;
  readonly subcommands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly {
    readonly names: readonly string[];
    readonly about: string;
    /** undefined: the option takes no value. */
    readonly values: Values | undefined;
  }[];
  /** What its arguments can be. */
  readonly values: Values;
}

export function describeTree(command: Command, parents = ''): CommandWords[] {
  const path = `${parents}${parents === '' ? '' : ' '}${command.name()}`;
  const visible = command.createHelp().visibleCommands(command);
  const options = command.createHelp().visibleOptions(command);
  const own: CommandWords = {
    path,
    subcommands: visible.map(sub => ({ name: sub.name(), about: sub.summary() || sub.description() })),
    options: options.map(option => ({
      names: [option.short, option.long].filter(name => name !== undefined),
      about: option.description,
      values: option.required || option.optional ? valuesOf(option) : undefined,
    })),
    values: mergeValues(command.registeredArguments),
  };
  return [own, ...visible.filter(sub => sub.name() !== 'help').flatMap(sub => describeTree(sub, path))];
}

function valuesOf(of: Option | Argument): Values {
  if (of.argChoices !== undefined) return of.argChoices;
  const name = ('flags' in of ? (/[<[]([^>\]]+)[>\]]/.exec(of.flags)?.[1] ?? '') : of.name()).toLowerCase();
  if (name === 'id') return 'ids';
  if (name.startsWith('service')) return 'services';
  return name === 'file' || name === 'folder' ? 'files' : 'none';
}

/** Few commands take several arguments, and then the first is the one that is known. */
function mergeValues(all: readonly Argument[]): Values {
  const [first] = all;
  return first === undefined ? 'none' : valuesOf(first);
}
