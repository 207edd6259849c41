/** Reads the text of a scrape, by the grammar of the two formats. */
import assert from 'node:assert/strict';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  readonly exemplar?: string;
}

export interface Scrape {
  readonly types: ReadonlyMap<string, string>;
  readonly samples: readonly Sample[];
  /** The value of a sample with these labels, and perhaps more; 0 where there is none. */
  value(name: string, labels?: Readonly<Record<string, string>>): number;
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*?)\})? (\S+)(?: # (\{.*\} .*))?$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;

export function parseScrape(text: string): Scrape {
  const types = new Map<string, string>();
  const samples: Sample[] = [];
  let family = '';
  for (const line of text.split('\n')) {
    if (line === '' || line === '# EOF' || line.startsWith('# HELP ')) continue;
    const type = /^# TYPE (\S+) (counter|gauge|histogram)$/.exec(line);
    if (type !== null) {
      family = type[1] as string;
      assert.ok(!types.has(family), `${family} comes twice`);
      types.set(family, type[2] as string);
      continue;
    }
    const match = SAMPLE.exec(line);
    assert.ok(match, `no sample: ${line}`);
    const [, name = '', labels = '', value, exemplar] = match;
    assert.ok(name.startsWith(family), `${name} is among the samples of ${family}`);
    samples.push({
      name,
      labels: parseLabels(labels),
      value: value === '+Inf' ? Number.POSITIVE_INFINITY : Number(value),
      ...(exemplar === undefined ? {} : { exemplar }),
    });
  }
  return {
    types,
    samples,
    value: (name, labels = {}) =>
      samples
        .filter(each => each.name === name && Object.entries(labels).every(([k, v]) => each.labels[k] === v))
        .reduce((sum, each) => sum + each.value, 0),
  };
}

function parseLabels(text: string): Record<string, string> {
  const found: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const at = LABEL.lastIndex;
    const match = LABEL.exec(text);
    assert.ok(match, `no label at ${at} of ${text}`);
    found[match[1] as string] = (match[2] as string).replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
  }
  return found;
}
