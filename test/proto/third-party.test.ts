/** Our definitions of other projects' messages are theirs on the wire: same names, numbers and types. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader';
import { ROOT } from '../../scripts/lib/project.ts';

const require = createRequire(import.meta.url);

interface Field {
  name: string;
  number: number;
  type: string;
  label: string;
  typeName: string;
}

function ours(file: string): PackageDefinition {
  return loadSync(join(ROOT, 'proto', file), { includeDirs: [join(ROOT, 'proto')] });
}

function shipped(name: string, folder: string, file: string): PackageDefinition {
  const root = join(dirname(require.resolve(`${name}/package.json`)), folder);
  return loadSync(join(root, file), { includeDirs: [root] });
}

/** The fields of a message by number, without what the wire does not carry. */
function fields(definition: PackageDefinition, message: string): Field[] {
  const found = definition[message] as MessageTypeDefinition<object, object> | undefined;
  assert.ok(found !== undefined, `there is no ${message}`);
  const { field } = found.type as { field: Field[] };
  return field
    .map(({ name, number, type, label, typeName }) => ({
      name,
      number,
      type,
      label,
      typeName: typeName.replace(/^.*\./, ''),
    }))
    .sort((a, b) => a.number - b.number);
}

test('the ORCA load report is the one that grpc-js ships', () => {
  const file = 'xds/data/orca/v3/orca_load_report.proto';
  // Its file imports validation rules from a folder beside it.
  const theirs = loadSync(join(dirname(require.resolve('@grpc/grpc-js/package.json')), 'proto/xds', file), {
    includeDirs: ['proto/xds', 'proto/protoc-gen-validate'].map(folder =>
      join(dirname(require.resolve('@grpc/grpc-js/package.json')), folder),
    ),
  });
  const message = 'xds.data.orca.v3.OrcaLoadReport';
  assert.deepEqual(fields(ours(file), message), fields(theirs, message));
  assert.equal(fields(theirs, message).length, 9);
});

test('the health service is the one that grpc-health-check ships', () => {
  const theirs = shipped('grpc-health-check', 'proto', 'health/v1/health.proto');
  const mine = ours('grpc/health/v1/health.proto');
  for (const message of ['grpc.health.v1.HealthCheckRequest', 'grpc.health.v1.HealthCheckResponse']) {
    assert.deepEqual(fields(mine, message), fields(theirs, message));
  }
  const service = 'grpc.health.v1.Health';
  const methods = (definition: PackageDefinition): string[] =>
    Object.values(definition[service] ?? {}).map(
      method => `${method.path} ${method.requestStream} ${method.responseStream}`,
    );
  for (const method of methods(mine)) assert.ok(methods(theirs).includes(method), method);
  assert.equal(methods(mine)[0], '/grpc.health.v1.Health/Check false false');
});

test('the error details have the numbers of google.rpc', () => {
  const numbers = (file: string, message: string): string =>
    fields(ours(`google/rpc/${file}`), `google.rpc.${message}`)
      .map(field => `${field.name}=${field.number}`)
      .join(' ');
  // As in googleapis, google/rpc/status.proto and error_details.proto.
  assert.equal(numbers('status.proto', 'Status'), 'code=1 message=2 details=3');
  assert.equal(numbers('error_details.proto', 'BadRequest'), 'fieldViolations=1');
  assert.equal(numbers('error_details.proto', 'ErrorInfo'), 'reason=1 domain=2 metadata=3');
  assert.equal(numbers('error_details.proto', 'RetryInfo'), 'retryDelay=1');
  // The message inside it, which the loader does not list by name.
  const nested = ours('google/rpc/error_details.proto')['google.rpc.BadRequest']?.type as {
    nestedType: { field: Field[] }[];
  };
  assert.deepEqual(
    nested.nestedType[0]?.field.map(field => `${field.name}=${field.number}`),
    ['field=1', 'description=2'],
  );
});
