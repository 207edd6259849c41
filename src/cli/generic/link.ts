/**
 * Makes descriptors complete. Those of protoc name types in full and list imports; those of protobufjs,
 * which grpc-js servers hand out by reflection and the proto loader makes of files, name types as they
 * are written, list none, and have no names for JSON.
 */
import type { DescriptorProto, FieldDescriptorProto, FileDescriptorProto } from '@bufbuild/protobuf/wkt';

/** Changes the files: every type in full, every file that is used among the dependencies. */
export function linkFiles(files: readonly FileDescriptorProto[]): void {
  const homes = homesOf(files);
  for (const file of files) {
    const used = new Set(file.dependency);
    const resolve = (name: string, scope: string): string => {
      const full = name === '' || name.startsWith('.') ? name : nearest(name, scope, homes);
      const home = homes.get(full);
      if (home !== undefined && home !== file) used.add(home.name);
      return full;
    };
    const scope = scopeOf(file);
    for (const service of file.service) {
      for (const method of service.method) {
        method.inputType = resolve(method.inputType, scope);
        method.outputType = resolve(method.outputType, scope);
      }
    }
    const fields = (all: readonly FieldDescriptorProto[], within: string) => {
      for (const field of all) {
        field.typeName = resolve(field.typeName, within);
        field.extendee = resolve(field.extendee, within);
        field.jsonName ||= jsonNameOf(field.name);
      }
    };
    fields(file.extension, scope);
    for (const [name, message] of messagesOf(file.messageType, scope)) {
      fields(message.field, name);
      fields(message.extension, name);
    }
    file.dependency = [...used];
  }
}

/** Where each message and enum is defined, by its full name with a dot before it. */
function homesOf(files: readonly FileDescriptorProto[]): Map<string, FileDescriptorProto> {
  const homes = new Map<string, FileDescriptorProto>();
  for (const file of files) {
    const scope = scopeOf(file);
    for (const type of file.enumType) homes.set(`${scope}.${type.name}`, file);
    for (const [name, message] of messagesOf(file.messageType, scope)) {
      homes.set(name, file);
      for (const type of message.enumType) homes.set(`${name}.${type.name}`, file);
    }
  }
  return homes;
}

function* messagesOf(all: readonly DescriptorProto[], scope: string): Iterable<[string, DescriptorProto]> {
  for (const message of all) {
    const name = `${scope}.${message.name}`;
    yield [name, message];
    yield* messagesOf(message.nestedType, name);
  }
}

const scopeOf = (file: FileDescriptorProto) => (file.package === '' ? '' : `.${file.package}`);

// descriptor.proto, type_name: "C++-like scoping rules are used to find the type (i.e. first the nested types
// within this message are searched, then within the parent, on up to the root namespace)."
function nearest(name: string, scope: string, homes: ReadonlyMap<string, unknown>): string {
  for (let at = scope; ; at = at.slice(0, at.lastIndexOf('.'))) {
    const full = `${at}.${name}`;
    if (homes.has(full)) return full;
    if (at === '') return `.${name}`;
  }
}

// descriptor.proto, json_name: "If the user has not set a "json_name" option on this field, that option's value
// will be set to the field's name converted to lowerCamelCase."
function jsonNameOf(name: string): string {
  return name.replace(/_+([^_])/g, (_all, letter: string) => letter.toUpperCase()).replace(/_+$/, '');
}
