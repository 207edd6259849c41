/** Finds the route of a request, or says what there is instead. */
import type { Route } from './admin.ts';
import { HttpError } from './reply.ts';

export class Router {
  private readonly exact = new Map<string, Route[]>();
  private readonly below: { readonly prefix: string; readonly routes: Route[] }[] = [];

  /** @throws Error where two routes are for the same method and path. */
  constructor(routes: readonly Route[]) {
    for (const route of routes) {
      const same = this.at(route.path);
      if (same.some(other => other.method === route.method)) {
        throw new Error(`two routes for ${route.method} ${route.path}`);
      }
      same.push(route);
    }
  }

  /** @throws HttpError 404 and 405, which say what there is. */
  find(method: string, path: string): Route {
    const routes = this.exact.get(path) ?? this.below.find(({ prefix }) => path.startsWith(prefix))?.routes;
    if (routes === undefined) throw new HttpError(404, `no such page: there are ${this.paths().join(', ')}`);
    const wanted = method === 'HEAD' ? 'GET' : method;
    const route = routes.find(each => each.method === wanted);
    if (route !== undefined) return route;
    const methods = routes.flatMap(each => (each.method === 'GET' ? ['GET', 'HEAD'] : [each.method]));
    const allow = methods.join(', ');
    throw new HttpError(405, `method ${method} is not supported here: use ${allow}`, { allow });
  }

  private at(path: string): Route[] {
    if (path.endsWith('/*')) {
      const prefix = path.slice(0, -1);
      let found = this.below.find(each => each.prefix === prefix);
      if (found === undefined) {
        found = { prefix, routes: [] };
        this.below.push(found);
      }
      return found.routes;
    }
    const found = this.exact.get(path) ?? [];
    this.exact.set(path, found);
    return found;
  }

  /** For people: what lies below a folder is found from its pages. */
  private paths(): string[] {
    return [...this.exact.keys()].sort();
  }
}
