/** Colours, and text that is safe to print. Rendering is pure: it is told whether there are colours. */
import type { Output } from '../cli.ts';

export { harmless as clean } from '../../core/harmless.ts';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'cyan' | 'magenta' | 'inverse';
export type Paint = (style: Style, text: string) => string;

// ECMA-48, Select Graphic Rendition: parameters that switch on, and off again.
const CODES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  inverse: [7, 27],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
};

export const plain: Paint = (_style, text) => text;
export const coloured: Paint = (style, text) => `\x1b[${CODES[style][0]}m${text}\x1b[${CODES[style][1]}m`;

/** Colours on a terminal that can, unless NO_COLOR (no-color.org) is set to anything but nothing. */
export function paintFor(output: Output, env: Readonly<Record<string, string | undefined>>): Paint {
  const wanted = output.isTTY === true && (env.NO_COLOR ?? '') === '' && env.TERM !== 'dumb';
  return wanted ? coloured : plain;
}
