// Handlers as methods: the same text for legacy and for standard decorators.
import { RequestHeaders, Response, Server, route, run } from '../../../dist/ehttpserver';

class Site extends Server {
  visits = 0;

  @route('/')
  home() {
    return `${++this.visits} visits`;
  }

  @route('/items/(\\d+)', 'PUT')
  item(_path: string, _query: string, headers: RequestHeaders, body: Uint8Array, match: string[]) {
    return { id: match[1], type: headers['content-type'], size: body.length };
  }

  @route(/^\/slow$/)
  *slow() {
    yield;
    return new Response('done', 200);
  }

  // @ts-expect-error: a path is text or a regular expression
  @route(7)
  wrong() {}

  // @ts-expect-error: handlers get text as their query
  @route('/search')
  search(path: string, query: { [name: string]: string }) {
    return path + query.q;
  }

  // @ts-expect-error: handlers get five arguments, and this wants one more
  @route('/more')
  more(_path: string, _query: string, _headers: RequestHeaders, _body: Uint8Array, _match: string[], response: Response) {
    return response;
  }

  // @ts-expect-error: only methods can be handlers
  @route('/visits')
  count = 0;

  // @ts-expect-error: a decorator has to be called with its path
  @route
  uncalled() {}
}

const site = new Site({ debug: true });
site.visits.toFixed();
run(site.start(80));
// @ts-expect-error: there is no such method
site.nothing();
