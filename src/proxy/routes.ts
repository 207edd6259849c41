/** From `:path` to the service: remembered by header list where the list is, by field where that is, else by path. */
import { PROXY_LIMITS } from '../core/limits.ts';
import { type HeaderList, NameKind } from '../http2/http2.ts';

export interface Route {
  /** `/package.Service/Method`. */
  readonly path: string;
  readonly service: string;
}

export class Routes {
  private readonly known = new Map<string, Route>();

  of(list: HeaderList): Route {
    if (list.attachment !== undefined) return list.attachment as Route;
    const at = list.find(NameKind.PATH);
    const field = list.field(at);
    let route = field.attachment as Route | undefined;
    if (route !== undefined) return route;
    const path = list.value(at);
    route = this.known.get(path);
    if (route === undefined) {
      const slash = path.indexOf('/', 1);
      route = { path, service: slash < 0 ? path.slice(1) : path.slice(1, slash) };
      if (this.known.size >= PROXY_LIMITS.routes) this.known.clear();
      if (path.length <= PROXY_LIMITS.routeBytes) this.known.set(path, route);
    }
    if (list.serial > 0) list.attachment = route;
    if (field.slot >= 0) field.attachment = route;
    return route;
  }
}
