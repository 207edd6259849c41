/** The admin port: what it serves, and who may use it. */
import { hostname } from 'node:os';
import { type Access, type Admin, type Route, startAdmin } from '../../admin/admin.ts';
import { parseAddress } from '../../config/address.ts';
import type { Config } from '../../config/config.ts';

export interface AdminPort extends Admin {
  apply(config: Config): void;
}

export async function startAdminPort(options: {
  readonly config: Config;
  readonly routes: readonly Route[];
  readonly onError: (error: unknown) => void;
}): Promise<AdminPort> {
  const { config, routes, onError } = options;
  let access = accessOf(config);
  const admin = await startAdmin({
    ...hostPort(config.admin.listen),
    routes,
    access: () => access,
    onError,
  });
  return {
    ...admin,
    apply: next => {
      access = accessOf(next);
    },
  };
}

function accessOf({ admin, instance }: Config): Access {
  const { control, proxy } = instance.advertise;
  const own = [admin.listen, control, proxy].flatMap(text =>
    text === undefined ? [] : [hostPort(text).host],
  );
  const names = [...own, hostname(), ...admin.allowedHosts];
  return { allowWrites: admin.allowWrites, hosts: new Set(names.map(name => name.toLowerCase())) };
}

function hostPort(text: string): { host: string; port: number } {
  const address = parseAddress(text, { anyPort: true });
  if (typeof address === 'string') throw new Error(`'${text}': ${address}`);
  return address;
}
