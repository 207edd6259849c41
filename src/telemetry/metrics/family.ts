/** What a metric is, apart from its values: the catalogue is made of these, and the guide is written from them. */

export type FamilyType = 'counter' | 'gauge' | 'histogram';

export interface Family {
  /** With the unit of its values, and `_total` at the end of a counter's. */
  readonly name: string;
  readonly type: FamilyType;
  /** One sentence without a full stop. */
  readonly help: string;
  readonly labels: readonly string[];
}

const family =
  (type: FamilyType) =>
  (name: string, help: string, ...labels: string[]): Family => ({
    name: `heapmesh_${name}`,
    type,
    help,
    labels,
  });

/** Makes a family of a name without the prefix, a help text and the names of its labels. */
export const counter = family('counter');
export const gauge = family('gauge');
export const histogram = family('histogram');
