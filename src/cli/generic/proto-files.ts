/** Types from `.proto` files. */

import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
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
  // The loader looks for a relative path in the folders alone, and where it is not there warns on stderr.
  const found = files.map(file => {
    const places = [file, ...folders.map(folder => join(folder, file))];
    const place = places.find(each => existsSync(each));
    if (place !== undefined) return resolve(place);
    const where = folders.length === 0 ? '' : `, here or in ${folders.join(', ')}`;
    throw new CliError(`cannot read ${file}: there is no such file${where}`, Exit.USAGE);
  });
  const encoded = new Map<string, Buffer>();
  try {
    const loaded = loadSync(found, { includeDirs: [...folders], keepCase: true });
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
