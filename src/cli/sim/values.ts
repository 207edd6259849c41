/** Values of the options of `heapmesh sim`: several, with commas. */
import { InvalidArgumentError } from 'commander';
import { readDuration } from '../options.ts';

export function readNames(text: string): string[] {
  return text.split(',').map(name => name.trim());
}

export function readDurations(text: string): number[] {
  return text.split(',').map(readDuration);
}

export function readNumbers(text: string): number[] {
  return text.split(',').map(part => {
    const value = Number(part);
    if (part.trim() === '' || !(value > 0) || !Number.isFinite(value))
      throw new InvalidArgumentError('Expected numbers above 0, with commas.');
    return value;
  });
}
