// What the library leaves out on purpose, each in a few lines: take what you need. README.md beside it shows the same lines.
const fs = require('fs');
const { Response, Server, text, urlDecode } = require('../ehttpserver');
const { address, online } = require('./lib/wifi');

const server = new Server({ maxBodyBytes: 8192 });

// --- queries and forms
/** The fields of a query or a form by name, the first 30; null if they are malformed, or no text at all. */
function parse(pairs) {
  if (pairs === null) return null;
  const fields = Object.create(null); // without a prototype every name is just a name
  for (const pair of pairs.split('&', 30)) {
    const [name, value = ''] = pair.split(/=([^]*)/).map(urlDecode);
    if (name === null || value === null) return null;
    fields[name] = value;
  }
  return fields;
}
const greet = (fields) => (fields && fields.name ? 'Hello ' + fields.name : new Response('Your name, please', 400));
server.route('/greet', 'GET', (path, query) => greet(parse(query)));
server.route('/greet', 'POST', (path, query, headers, body) => greet(parse(text(body)))); // text() is null for bytes that are no text

// --- basic auth
const LOGIN = 'Basic ' + btoa('admin:secret');
const guarded = (handler) => (path, query, headers, body, match) => (headers.authorization === LOGIN
  ? handler(path, query, headers, body, match)
  : new Response('Name and password, please', 401, '', { 'www-authenticate': 'Basic realm="Pico"' }));
server.route('/private', 'GET', guarded(() => 'Welcome'));

// --- cookies
const visits = new Map(); // by session, the last 20: what clients can make the board keep needs a limit
server.route('/visits', 'GET', (path, query, headers) => {
  const [, known] = /(?:^|; )session=(\d+)/.exec(headers.cookie) || [];
  const session = visits.has(known) ? known : '' + micros();
  const count = (visits.get(session) || 0) + 1;
  if (visits.set(session, count).size > 20) visits.delete(visits.keys().next().value);
  return new Response('Visit ' + count, 200, '', { 'set-cookie': 'session=' + session + '; HttpOnly; SameSite=Lax' });
});

// --- cors
const CORS = {
  'access-control-allow-origin': 'http://example.com', // whose pages may; '*' for everybody's
  'access-control-allow-methods': 'GET, PUT',
  'access-control-allow-headers': 'content-type',
};
server.route('/api/.*', 'OPTIONS', () => new Response('', 204, '', CORS)); // browsers ask before they send
server.route('/api/uptime', 'GET', () => new Response({ seconds: millis() / 1000 }, 200, '', CORS));

// --- templates
const escapeHtml = (value) => ('' + value).replace(/[&<>"']/g, (char) => '&#' + char.charCodeAt(0) + ';');
const html = (parts, ...values) => parts.reduce((all, part, i) => all + escapeHtml(values[i - 1]) + part);
server.route('/hello', 'GET', (path, query) => new Response(html`<p>Hello ${urlDecode(query)}!</p>`, 200, 'text/html'));

// --- uploads
if (!fs.exists('/files')) fs.mkdir('/files');
server.route('/files/(\\w+\\.\\w+)', 'PUT', (path, query, headers, body, match) => {
  fs.writeFile('/files/' + match[1], body);
  return new Response('Stored', 201);
});

// --- multipart
// The body is: boundary, headers, an empty line, the file, boundary. That the form has one field, and sends one file, is relied on.
server.route('/form', 'POST', (path, query, headers, body) => {
  const ascii = (bytes) => new TextDecoder('ascii').decode(bytes);
  const start = ascii(body.subarray(0, 512));
  const tail = '\r\n' + start.slice(0, start.indexOf('\r\n')) + '--\r\n';
  const begin = start.indexOf('\r\n\r\n') + 4;
  const end = body.length - tail.length;
  const [, name] = /filename="(\w+\.\w+)"/.exec(start.slice(0, begin)) || [];
  if (!name || begin > end || ascii(body.subarray(end)) !== tail) return new Response('One file, please', 400);
  fs.writeFile('/files/' + name, body.slice(begin, end)); // not subarray: Kaluma would write other bytes of its buffer
  return new Response('Stored', 201);
});

// ---
const PAGE = `<!DOCTYPE html>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>Recipes</title>
<style>
  body { font: 18px/2 sans-serif }
  input, button, ::file-selector-button { padding: 10px; font: 18px sans-serif }
  [type=file] { margin: 4px 0; padding: 0; max-width: 100% }
</style>
<p><a href="/private">private</a> (admin, secret), <a href="/visits">visits</a>, <a href="/hello?%3Cscript%3E">hello</a>
<form method="post" action="/greet"><input name="name" placeholder="Name" size="12"> <button>Greet</button></form>
<p><input type="file" onchange="fetch('/files/' + files[0].name, { method: 'PUT', body: files[0] }).then(({ status }) => alert(status))">
<form method="post" action="/form" enctype="multipart/form-data"><input type="file" name="file"> <button>Send</button></form>`;

server.route('/', 'GET', () => new Response(PAGE, 200, 'text/html'));

online(() => {
  server.listen(80, () => console.log('Open ' + address()));
});
