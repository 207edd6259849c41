/** Types from `.proto` files. */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { loadSync } from '@grpc/proto-loader';
import { CliError, Exit } from '../cli.ts';
import { decodeFile } from './types.ts';

/**
 * Reads a file and all that it imports.
 *
 * @param folders in which imports are looked for, in this order.
 * @throws CliError with the place of a mistake.
 */
export function readProtoFiles(files: readonly string[], folders: readonly string[]): FileDescriptorProto[] {
  for (const file of files) {
    // The loader would warn on stderr and go on.
    const places = [file, ...folders.map(folder => join(folder, file))];
    if (places.some(place => existsSync(place))) continue;
    const where = folders.length === 0 ? '' : `, here or in ${folders.join(', ')}`;
    throw new CliError(`cannot read ${file}: there is no such file${where}`, Exit.USAGE);
  }
  const encoded = new Map<string, Buffer>();
  try {
    const loaded = loadSync([...files], { includeDirs: [...folders], keepCase: true });
    for (const definition of Object.values(loaded)) {
      // Services carry none; the types of their methods are beside them, and carry all.
      if (!('fileDescriptorProtos' in definition)) continue;
      for (const bytes of definition.fileDescriptorProtos as Buffer[])
        encoded.set(bytes.toString('base64'), bytes);
    }
  } catch (error) {
    const text = (error as Error).message;
    const hint = /ENOENT|no such file/i.test(text) ? '; name the folder of its imports with -I' : '';
    throw new CliError(`cannot read ${files.join(', ')}: ${text}${hint}`, Exit.USAGE, { cause: error });
  }
  // One file a package, whose names need not differ.
  return [...encoded.values()].map((bytes, index) => {
    const file = decodeFile(bytes);
    file.name = `${index}-${file.package}.proto`;
    return file;
  });
}
