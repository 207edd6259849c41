/**
 * The console's files, as `make build` made them. Names below `/assets/` have a digest of their content in
 * them, so that a browser never asks for one twice; the page itself is asked for each time.
 */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import type { AdminRequest, Route } from './admin.ts';
import { HttpError, type Reply } from './reply.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Beside this file in the package; where the sources are run, in what was built of them. */
const PLACES = ['./console/', '../../dist/admin/console/'];
/** Sources have no folder of that name. */
const BUILT = 'assets';

interface Asset {
  readonly type: string;
  readonly plain: Buffer;
  readonly zipped: Buffer;
  readonly tag: string;
}

export interface Console {
  /** Digest of the page, which names all other files; empty where it was not built. */
  readonly build: string;
  readonly routes: readonly Route[];
}

export function openConsole(): Console {
  const folder = PLACES.map(place => fileURLToPath(new URL(place, import.meta.url))).find(each =>
    existsSync(join(each, BUILT)),
  );
  const page = folder === undefined ? undefined : read(join(folder, 'index.html'));
  const assets = new Map(
    folder === undefined
      ? []
      : readdirSync(join(folder, BUILT)).map(name => [`/${BUILT}/${name}`, read(join(folder, BUILT, name))]),
  );
  return {
    build: page?.tag ?? '',
    routes: [
      {
        method: 'GET',
        path: '/',
        handle: request => {
          if (page === undefined) throw new HttpError(404, 'the console was not built: run make build');
          return reply(page, request, 'no-cache');
        },
      },
      {
        method: 'GET',
        path: `/${BUILT}/*`,
        handle: request => {
          const asset = assets.get(request.path);
          if (asset === undefined) throw new HttpError(404, 'no such file');
          return reply(asset, request, 'public, max-age=31536000, immutable');
        },
      },
    ],
  };
}

function read(path: string): Asset {
  const plain = readFileSync(path);
  const type = TYPES[extname(path)] ?? 'application/octet-stream';
  const tag = createHash('sha256').update(plain).digest('hex').slice(0, 16);
  return { type, plain, zipped: gzipSync(plain, { level: 9 }), tag };
}

function reply(asset: Asset, request: AdminRequest, cache: string): Reply {
  const etag = `"${asset.tag}"`;
  const headers = { 'cache-control': cache, etag, vary: 'accept-encoding' };
  if (request.header('if-none-match') === etag) return { status: 304, type: asset.type, body: '', headers };
  const zipped = /\bgzip\b/.test(request.header('accept-encoding') ?? '');
  return zipped
    ? { type: asset.type, body: asset.zipped, headers: { ...headers, 'content-encoding': 'gzip' } }
    : { type: asset.type, body: asset.plain, headers };
}
