/**
 * Text from elsewhere, made harmless for a terminal: a backend chooses its id and its drain's cause, and neither may move
 * the cursor, clear the screen of an operator, or turn the order of what is read.
 */
export function harmless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '\ufffd');
}
