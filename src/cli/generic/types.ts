/** Types of a service that is not known in advance, from the descriptors of its files. */
import {
  create,
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
} from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { closest } from '../../config/closest.ts';
import { CliError, Exit } from '../cli.ts';
import { linkFiles } from './link.ts';

export interface MethodTypes {
  readonly method: DescMethod;
  /** All types that are known, for `google.protobuf.Any`. */
  readonly registry: FileRegistry;
}

/** Decodes files that came over the network. */
export function decodeFile(bytes: Uint8Array): FileDescriptorProto {
  return fromBinary(FileDescriptorProtoSchema, bytes);
}

/**
 * Finds a method in files.
 *
 * @throws CliError where the files do not fit together, or there is no such service or method.
 */
export function findMethod(
  files: readonly FileDescriptorProto[],
  service: string,
  method: string,
): MethodTypes {
  let registry: FileRegistry;
  try {
    linkFiles(files);
    registry = createFileRegistry(create(FileDescriptorSetSchema, { file: importedFirst(files) }));
  } catch (error) {
    throw new CliError(
      `the definitions of ${service} do not fit together: ${(error as Error).message}`,
      Exit.FAILURE,
      { cause: error },
    );
  }
  const found = registry.getService(service);
  if (found === undefined) {
    const services = [...registry].flatMap(type => (type.kind === 'service' ? [type.typeName] : []));
    throw new CliError(
      `no service ${service} in the definitions; there is ${services.join(', ') || 'none at all'}`,
      Exit.USAGE,
    );
  }
  const names = found.methods.map(each => each.name);
  const index = names.indexOf(method);
  const desc = found.methods[index];
  if (desc !== undefined) return { method: desc, registry };
  const near = closest(method, names);
  const hint = near === undefined ? `it has ${names.join(', ') || 'none'}` : `did you mean ${near}?`;
  throw new CliError(`${service} has no method ${method}; ${hint}`, Exit.USAGE);
}

/** A registry takes files in this order only. A cycle, which protobuf forbids, is left to its error. */
function importedFirst(files: readonly FileDescriptorProto[]): FileDescriptorProto[] {
  const byName = new Map(files.map(file => [file.name, file]));
  const sorted = new Set<FileDescriptorProto>();
  const visiting = new Set<string>();
  const visit = (file: FileDescriptorProto): void => {
    if (sorted.has(file) || visiting.has(file.name)) return;
    visiting.add(file.name);
    for (const name of file.dependency) {
      const dependency = byName.get(name);
      if (dependency !== undefined) visit(dependency);
    }
    sorted.add(file);
  };
  for (const file of byName.values()) visit(file);
  return [...sorted];
}
