/** Types from `.proto` files. */

import type { DescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';
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
  return withDependencies([...encoded.values()].map(decodeFile));
}

/**
 * The loader makes one file a package and leaves out what it imports, without which no registry can
 * resolve a type: the imports follow from the types that are named.
 */
function withDependencies(files: FileDescriptorProto[]): FileDescriptorProto[] {
  const homes = new Map<string, FileDescriptorProto>();
  for (const [index, file] of files.entries()) {
    file.name = `${index}-${file.package}.proto`;
    const lead = file.package === '' ? '' : `.${file.package}`;
    const enter = (message: DescriptorProto, parent: string): void => {
      const name = `${parent}.${message.name}`;
      homes.set(name, file);
      for (const nested of message.nestedType) enter(nested, name);
      for (const type of message.enumType) homes.set(`${name}.${type.name}`, file);
    };
    for (const message of file.messageType) enter(message, lead);
    for (const type of file.enumType) homes.set(`${lead}.${type.name}`, file);
  }
  for (const file of files) {
    const used = new Set<FileDescriptorProto>();
    for (const name of namesUsed(file)) {
      const home = homes.get(name);
      if (home !== undefined && home !== file) used.add(home);
    }
    file.dependency = [...used].map(each => each.name);
  }
  return files;
}

function* namesUsed(file: FileDescriptorProto): Iterable<string> {
  for (const service of file.service) {
    for (const method of service.method) yield* [method.inputType, method.outputType];
  }
  for (const field of file.extension) yield* [field.typeName, field.extendee];
  for (const message of file.messageType) yield* namesUsedBy(message);
}

function* namesUsedBy(message: DescriptorProto): Iterable<string> {
  for (const field of [...message.field, ...message.extension]) yield* [field.typeName, field.extendee];
  for (const nested of message.nestedType) yield* namesUsedBy(nested);
}
