// The most work that a client can make one step do: every case is a client that means it. And input that doubles, to see whether
// the work does more than that.

var worst = {};
var ESCAPES = repeat('%C3%A9', 335); // with the rest of the line 2,048 characters at most
var LINE = 'GET /' + ESCAPES + ' HTTP/1.1\r\n';

/** Header fields: `count` lines, together `size` characters without the last line break, each `name: value`. */
function headers(count, size, name, value) {
  var lines = [];
  for (var i = 0; i < count; i++) {
    var line = (name || 'n' + i) + ':';
    var length = Math.floor(size / count) - 2;
    lines.push(line + repeat(value || 'v', length - line.length));
  }
  return lines.join('\r\n') + '\r\n';
}

/** A client that sends the first piece before the first step, the second before the second, and so on; in '' there is nothing. */
function conversation(firmware, pieces, options) {
  listen(options || {}, routes);
  routed = firmware === 'routed';
  var fd = connect();
  return talk(fd, pieces);
}

function talk(fd, pieces) {
  var socket = sockets[fd];
  var segments = pieces.map(function (piece) { return typeof piece === 'string' ? bytesOf(piece) : piece; });
  var quiet = 0;
  return function (n) {
    if (sockets[fd] !== socket) return false;
    if (n >= segments.length) return quiet++ < 12;
    if (segments[n].length) deliver(fd, segments[n]);
    return true;
  };
}

/** A text in pieces of so many characters. */
function cut(text, size) {
  var pieces = [];
  for (var i = 0; i < text.length; i += size) pieces.push(text.slice(i, i + size));
  return pieces;
}

function join(frames) {
  var length = frames.reduce(function (sum, each) { return sum + each.length; }, 0);
  var all = new Uint8Array(length);
  frames.reduce(function (at, each) { all.set(each, at); return at + each.length; }, 0);
  return all;
}

worst['head: 1,024 lines of one letter'] = function () {
  return conversation('stock', ['GET / HTTP/1.1\r\n' + repeat('a:\r\n', 1022) + '\r\n']);
};
worst['head: 50 headers, 4,096 bytes'] = function () {
  return conversation('stock', ['GET / HTTP/1.1\r\nhost:\r\n' + headers(49, 4080) + '\r\n']);
};
worst['head: one header 50 times'] = function () {
  return conversation('stock', ['GET / HTTP/1.1\r\nhost:\r\n' + headers(49, 4080, 'a') + '\r\n']);
};
worst['head: 50 headers of blanks'] = function () {
  return conversation('stock', ['GET / HTTP/1.1\r\nhost:\r\n' + headers(49, 4080, '', ' ') + '\r\n']);
};
worst['head: a line of 2,048 with escapes'] = function () { return conversation('stock', [LINE + 'host:\r\n\r\n']); };
worst['head: a line of 4,080 without a colon'] = function () {
  return conversation('stock', ['GET / HTTP/1.1\r\nhost:\r\n' + repeat('a', 4080) + '\r\n\r\n']);
};
worst['head: a value of 4,080 with a bad end'] = function () {
  return conversation('stock', ['GET / HTTP/1.1\r\nhost:\r\na:' + repeat(' \t', 2040) + '\x01\r\n\r\n']);
};
worst['head: a method of 2,048'] = function () { return conversation('stock', [repeat('A', 2048) + '\r\nhost:\r\n\r\n']); };
worst['head: the most, then byte by byte'] = function () {
  var head = LINE + 'host:\r\n' + headers(49, 4080) + '\r\n';
  return conversation('stock', [head.slice(0, -20), '', '', '', '', '', ''].concat(cut(head.slice(-20), 1)));
};
worst['head: empty lines before it'] = function () {
  return conversation('stock', [repeat('\r\n', 5840), 'GET / HTTP/1.1\r\nhost:\r\n\r\n']);
};
worst['body: 16 KB, 11,680 bytes at once, echoed'] = function () {
  var request = post('/echo', 16384) + repeat('0123456789abcdef', 1024);
  return conversation('stock', [request.slice(0, 1460), request.slice(1460, 13140), request.slice(13140)]);
};
worst['body: 16 KB in pieces of 1 byte'] = function () {
  return conversation('stock', [post('/echo', 16384) + repeat('a', 10000)].concat(cut(repeat('a', 200), 1)));
};
worst['everything in one step: line, 50 headers, body, echo'] = function () {
  var head = 'POST /echo?' + repeat('a', 2000) + ' HTTP/1.1\r\nhost:\r\ncontent-length:10000\r\n' + headers(48, 4050) + '\r\n';
  return conversation('stock', [head.slice(0, -1), '', '', '', '', '', '', head.slice(-1) + repeat('a', 10000)]);
};
worst['pipelining: 11,680 bytes of requests'] = function () {
  return conversation('stock', [repeat('GET /sensors HTTP/1.1\r\nhost:\r\n\r\n', 365)]);
};
worst['file: accept-encoding of 4 KB'] = function () {
  return conversation('stock', ['GET ' + FILE + ' HTTP/1.1\r\nhost:\r\naccept-encoding:' + repeat('gzip;q=0,', 450) + '\r\n\r\n']);
};
worst['file: a path of 2 KB'] = function () {
  return conversation('stock', ['GET /www/' + repeat('/..a', 500) + '.a HTTP/1.1\r\nhost:\r\n\r\n']);
};
worst['5 connections, each with the most'] = function () {
  listen({}, routes);
  routed = true;
  var first = connect();
  deliver(first, bytesOf(get('/')));
  untilClosed(first);
  step(); // which forgets it
  var head = 'POST /echo?' + repeat('a', 2000) + ' HTTP/1.1\r\nhost:\r\ncontent-length:10000\r\n' + headers(48, 4050) + '\r\n';
  var pieces = [head.slice(0, -1), '', '', '', '', '', '', head.slice(-1) + repeat('a', 10000)];
  var talks = [];
  for (var n = 0; n < 5; n++) talks.push(talk(connect(), pieces));
  return function (n) {
    return talks.map(function (each) { return each(n); }).indexOf(true) >= 0;
  };
};

// WebSockets. The handshake is a step, too; it is what a WebSocket begins with.

worst['WebSocket: handshake with 50 headers'] = function () {
  return conversation('stock', [HANDSHAKE.slice(0, -2) + headers(37, 3000) + '\r\n']);
};
worst['WebSocket: handshake, tokens of 3 KB'] = function () {
  return conversation('stock', [HANDSHAKE.slice(0, -2) + 'connection:' + repeat(',', 3000) + '\r\n\r\n']);
};
worst['WebSocket: 1,946 empty frames at once'] = function () {
  var frames = [];
  for (var n = 0; n < 1946; n++) frames.push(frame(0x8a, []));
  return talk(openWebSocket(), [join(frames)]);
};
worst['WebSocket: text of 16 KB'] = function () {
  var text = frame(0x81, bytesOf(repeat('0123456789abcdef', 1024)));
  return talk(openWebSocket(), [text.subarray(0, 11680), text.subarray(11680)]);
};
worst['WebSocket: text of 16 KB, 4 bytes a character'] = function () {
  var text = frame(0x81, bytesOf(repeat('\xf0\x9f\x98\x80', 4096)));
  return talk(openWebSocket(), [text.subarray(0, 11680), text.subarray(11680)]);
};
worst['WebSocket: fragments of 1 byte'] = function () {
  var frames = [frame(0x01, [97])];
  for (var n = 0; n < 1000; n++) frames.push(frame(0x00, [97]));
  return talk(openWebSocket(), [join(frames)]);
};

/** The step that takes most is what counts. `next` says whether there is one more, and lets the client send before it. */
function steps(next, name) {
  keep = false;
  Duktape.gc();
  mark('');
  mark('empty'); // what marks cost themselves
  for (var n = 0; n < 300 && next(n); n++) {
    mark('receive');
    step();
    mark(name || 'step');
  }
}

// ------------------------------------------------------------------------------------------------------------ growth

/** Limits out of the way. */
var WIDE = { maxRequestLineSize: 100000, maxHeaderBytes: 100000, maxBodyBytes: 100000, maxHeaderCount: 100000 };

/** Requests with about n characters where a regular expression or a search over what a client sent might do more than read them. */
var growing = {
  'path': function (n) { return 'GET /' + repeat('a', n) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'path with a bad end': function (n) { return 'GET /' + repeat('a', n) + '\x01 HTTP/1.1\r\nhost:\r\n\r\n'; },
  'slashes': function (n) { return 'GET ' + repeat('/', n) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'query with a bad end': function (n) { return 'GET /?' + repeat('?', n) + '\x01 HTTP/1.1\r\nhost:\r\n\r\n'; },
  'method alone': function (n) { return repeat('A', n) + '\r\nhost:\r\n\r\n'; },
  'blanks in the line': function (n) { return 'GET /' + repeat(' ', n) + 'HTTP/1.1\r\nhost:\r\n\r\n'; },
  'absolute target without a path': function (n) { return 'GET http://' + repeat('a', n) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'escapes': function (n) { return 'GET /' + repeat('%41', n / 3) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'percent signs': function (n) { return 'GET /' + repeat('%', n) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'a bad escape last': function (n) { return 'GET /' + repeat('a', n) + '% HTTP/1.1\r\nhost:\r\n\r\n'; },
  'header name without a colon': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\n' + repeat('a', n) + '\r\n\r\n'; },
  'header value with a bad end': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\na:' + repeat(' \t', n / 2) + '\x01\r\n\r\n'; },
  'header value of blanks': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\na:' + repeat(' \t', n / 2) + '\r\n\r\n'; },
  'headers': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\n' + headers(n / 8, n) + '\r\n'; },
  'one header again and again': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\n' + repeat('a:b\r\n', n / 5) + '\r\n'; },
  'content-length of digits': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\ncontent-length:' + repeat('0', n) + 'x\r\n\r\n'; },
  'connection: almost close': function (n) { return 'GET / HTTP/1.1\r\nhost:\r\nconnection:' + repeat('clos', n / 4) + '\r\n\r\n'; },
  'expect: almost 100-continue': function (n) {
    return 'POST /echo HTTP/1.1\r\nhost:\r\ncontent-length:1\r\nexpect:' + repeat('100-continu', n / 11) + '\r\n\r\na';
  },
  'empty lines before the request': function (n) { return repeat('\r\n', n / 2) + 'GET / HTTP/1.1\r\nhost:\r\n\r\n'; },
  'returns without a line feed': function (n) { return 'GET / HTTP/1.1\r\nhost:' + repeat('\r', n) + '\r\n\r\n'; },
  'accept-encoding: gzip and blanks': function (n) {
    return 'GET ' + FILE + ' HTTP/1.1\r\nhost:\r\naccept-encoding: gzip' + repeat(' ', n) + 'x\r\n\r\n';
  },
  'accept-encoding: gzip;q=0.000': function (n) {
    return 'GET ' + FILE + ' HTTP/1.1\r\nhost:\r\naccept-encoding: gzip;q=0.' + repeat('0', n) + '\r\n\r\n';
  },
  'accept-encoding: gzip;q=0 again and again': function (n) {
    return 'GET ' + FILE + ' HTTP/1.1\r\nhost:\r\naccept-encoding:' + repeat('gzip ;q=0,', n / 10) + '\r\n\r\n';
  },
  'extension': function (n) { return 'GET /www/' + repeat('.', n / 2) + repeat('a', n / 2) + '! HTTP/1.1\r\nhost:\r\n\r\n'; },
  'known or not, a long extension': function (n) { return 'GET /www/.' + repeat('a', n) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'dots and slashes': function (n) { return 'GET /www/' + repeat('/..a', n / 4) + ' HTTP/1.1\r\nhost:\r\n\r\n'; },
  'WebSocket: connection tokens': function (n) { return HANDSHAKE.slice(0, -2) + 'connection:' + repeat(',', n) + '\r\n\r\n'; },
  'WebSocket: protocols': function (n) { return HANDSHAKE.slice(0, -2) + 'sec-websocket-protocol:' + repeat(' a,', n / 3) + '\r\n\r\n'; },
  'WebSocket: origin': function (n) { return HANDSHAKE.replace('Origin: ', 'Origin: ' + repeat('http://', n / 7)); },
  'WebSocket: key': function (n) { return HANDSHAKE.replace('==', repeat('=', n)); },
};

/** Twice as much the second time. */
function grow(name, n) {
  listen(WIDE, routes);
  routed = true;
  steps(talk(connect(), [growing[name](n)]), 'once');
  steps(talk(connect(), [growing[name](2 * n)]), 'twice');
}
