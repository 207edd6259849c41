/** Whether whoever started the process has chosen a flag of V8 or Node, on the command line or in `NODE_OPTIONS`. */
export function isChosen(flag: RegExp): boolean {
  return flag.test([...process.execArgv, process.env.NODE_OPTIONS ?? ''].join(' '));
}
