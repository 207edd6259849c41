/** The report that h2spec writes. */
export interface Case {
  /** Section and what it does, such as `http2/5.1: half closed (remote): Sends a DATA frame`. */
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  /** What was expected and what came, where it failed. */
  readonly why: string;
}

export function parseJUnit(xml: string): Case[] {
  const cases: Case[] = [];
  for (const [, attributes = '', body = ''] of xml.matchAll(/<testcase ([^>]*)>([\s\S]*?)<\/testcase>/g)) {
    const of = (name: string): string => plain(new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
    const failure = /<(?:failure|error)>([\s\S]*?)<\/(?:failure|error)>/.exec(body)?.[1];
    const skipped = body.includes('<skipped');
    cases.push({
      name: `${of('package')}: ${of('classname')}`,
      result: failure !== undefined ? 'failed' : skipped ? 'skipped' : 'passed',
      why: plain(failure ?? ''),
    });
  }
  return cases;
}

const ENTITIES: Readonly<Record<string, string>> = {
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  amp: '&',
  '#34': '"',
  '#39': "'",
  '#xA': '\n',
  '#x9': '\t',
};

function plain(text: string): string {
  return text.replaceAll(/&([^;]+);/g, (all, name: string) => ENTITIES[name] ?? all);
}
