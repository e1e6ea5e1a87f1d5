// Plain JavaScript that an editor checks: with the types, but without a word of TypeScript.
const { FileResponse, Response, Server, run, text, urlDecode } = require('../../../dist/ehttpserver');

const server = new Server({ maxBodyBytes: 2048 });

server.route('/', 'GET', () => 'Hello');
server.route('/form', 'POST', (path, query, headers, body, match) => {
  const form = text(body);
  if (form === null) return new Response('not UTF-8', 400);
  // @ts-expect-error: it is null when it is malformed
  urlDecode(form).length;
  return { path, query, host: headers.host, match, length: form.length };
});
server.route('/file', 'GET', () => new FileResponse('/www/index.html', { 'cache-control': 'no-store' }));
server.route('/slow', 'GET', function* () {
  yield;
  return 'done';
});
server.listen(80, () => {});
run(server.start(8080));

// @ts-expect-error: the arguments are the other way round
server.route('GET', () => 'Hello', '/');
// @ts-expect-error: there is no such option
new Server({ port: 80 });
// @ts-expect-error: there is no such function
server.get('/', () => 'Hello');
// @ts-expect-error: the status is a number
new Response('', 'Not Found');

/** A page with a counter. */
class Site extends Server {
  constructor() {
    super({ debug: true });
    this.visits = 0;
    this.route('/', 'GET', () => `${++this.visits}`);
  }
}
// @ts-expect-error: visits are counted
new Site().visits.length;
