// What is right, and behind each `@ts-expect-error` what is wrong, with the server's types.
import {
  BodyIterator, FileResponse, Handler, Reply, RequestHeaders, Response, Server, ServerOptions, route, run, text, urlDecode,
} from '../../../dist/ehttpserver';

// ---- options

const options: ServerOptions = { maxBodyBytes: 1024, requestTimeoutSeconds: 2.5, maxParallelConnections: 3, reserve: 1, debug: true };
const server = new Server(options);
new Server();
new Server({});
// @ts-expect-error: a name that is none
new Server({ maxBodySize: 1024 });
// @ts-expect-error: text for a number
new Server({ maxBodyBytes: '1024' });
// @ts-expect-error: a driver that lacks nearly all
new Server({ netdev: { errno: 0 } });

// ---- handlers: what they are given

server.route('/a', 'GET', (path, query, headers, body, match) => {
  const given: [string, string, RequestHeaders, Uint8Array, string[]] = [path, query, headers, body, match];
  // @ts-expect-error: a header may be there more than once, but it is one text
  headers.cookie[0].join();
  // @ts-expect-error: the body is bytes; text() makes text of them
  body.split('&');
  return given.length;
});
server.route('/b', 'GET', () => 'fewer parameters are fine');
server.route(/^\/c\/(\d+)$/i, 'POST', (_path, _query, _headers, _body, match) => ({ id: +match[1] }));
// @ts-expect-error: the method is missing
server.route('/d', () => 'text');
// @ts-expect-error: the handler is missing
server.route('/e', 'GET');
// @ts-expect-error: text is no handler
server.route('/f', 'GET', 'text');
// @ts-expect-error: a path is text or a regular expression
server.route(7, 'GET', () => 'text');
// @ts-expect-error: the query comes as text
server.route('/g', 'GET', (_path: string, query: { name: string }) => query.name);

// ---- handlers: what they may answer

const replies: Reply[] = ['text', new Uint8Array(3), { json: true }, [1, 2], 7, false, null, undefined,
  new Response('a', 201, 'text/html', { etag: '"1"', age: 7 }), new FileResponse('/www/index.html')];
server.route('/h', 'GET', () => replies[0]);
server.route('/i', 'GET', function* () {
  for (let i = 0; i < 3; i++) yield;
  return new Response('later');
});
const laterOn: Handler = () => ({ next: () => ({ done: true, value: 'by hand' }) });
server.route('/j', 'GET', laterOn);
// @ts-expect-error: JSON has no symbols
server.route('/k', 'GET', () => Symbol('none'));

// ---- answers

function* pieces(): BodyIterator {
  yield 'text';
  yield new Uint8Array(2);
  yield undefined;
}
new Response(pieces());
new Response();
const answer = new Response('body', 404);
answer.headers.link = 'x';
answer.status = 500;
// @ts-expect-error: the status is a number
new Response('body', '404');
// @ts-expect-error: headers are text or numbers
new Response('body', 200, 'text/plain', { 'set-cookie': ['a', 'b'] });
new FileResponse('/www/a.css', { 'cache-control': 'max-age=60' }, 'text/css', 512).contentType.length;
// @ts-expect-error: which file?
new FileResponse();
// @ts-expect-error: it is made with new
FileResponse('/www/a.css');

// ---- running it

class Site extends Server {
  seen: unknown[] = [];

  override debug(message: unknown): void {
    this.seen.push(message);
  }
}
const site: Site = new Site().route('/l', 'GET', () => 'a').listen(80, () => {});
site.seen.length;
site.route('/m', 'GET', function () {
  // @ts-expect-error: there is no such property
  this.unseen;
  return this.seen.length;
});
function* blink(): Iterator<undefined> {
  for (;;) yield;
}
run(server.start(8080), blink());
run();
const { done } = server.next();
if (done) server.close();
// @ts-expect-error: a server that was not started is no iterator's result
run(server.start);
// @ts-expect-error: the port is a number
server.listen('80');
// @ts-expect-error: what is the library's own stays out of reach
server._fd;
// @ts-expect-error: the same, where it is no class member
server._limits;

// ---- texts

const name: string | null = urlDecode('a+b%20c');
const body: string | null = text(new Uint8Array(1));
// @ts-expect-error: it is null when it is malformed
name.length;
// @ts-expect-error: the same
body.length;
// @ts-expect-error: bytes, not text
text('text');
// @ts-expect-error: a path is text or a regular expression
route(7);
