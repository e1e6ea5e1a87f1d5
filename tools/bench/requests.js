// What Chromium 156 sends to http://192.168.4.1/, as recorded.
var AGENT = 'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36\r\n';
var ENCODINGS = 'Accept-Encoding: gzip, deflate\r\nAccept-Language: en-US,en;q=0.9\r\n';

function get(path, more) {
  return 'GET ' + path + ' HTTP/1.1\r\nHost: 192.168.4.1\r\nConnection: keep-alive\r\nUpgrade-Insecure-Requests: 1\r\n' + AGENT
    + 'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/jxl,image/avif,image/webp,image/apng,*/*;q=0.8,'
    + 'application/signed-exchange;v=b3;q=0.7\r\n' + ENCODINGS + (more || '') + '\r\n';
}

function post(path, length) {
  return 'POST ' + path + ' HTTP/1.1\r\nHost: 192.168.4.1\r\nConnection: keep-alive\r\nContent-Length: ' + length + '\r\n' + AGENT
    + 'content-type: application/json\r\nAccept: */*\r\nOrigin: http://192.168.4.1\r\nReferer: http://192.168.4.1/\r\n'
    + ENCODINGS + '\r\n';
}

var HANDSHAKE = 'GET /ws HTTP/1.1\r\nHost: 192.168.4.1\r\nConnection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\n' + AGENT
  + 'Upgrade: websocket\r\nOrigin: http://192.168.4.1\r\nSec-WebSocket-Version: 13\r\n' + ENCODINGS
  + 'Sec-WebSocket-Key: 2RJLm6TZVdglSVI8Yx/ztQ==\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n';

/** A masked frame of a client. `first` is its first byte: 0x81 is a whole text, 0x82 a whole binary message. */
function frame(first, payload) {
  var length = payload.length;
  var head = length > 125 ? [first, 254, length >> 8, length & 255] : [first, 128 | length];
  var mask = [0x37, 0xfa, 0x21, 0x3d];
  var bytes = new Uint8Array(head.length + 4 + length);
  bytes.set(head);
  bytes.set(mask, head.length);
  for (var i = 0; i < length; i++) bytes[head.length + 4 + i] = payload[i] ^ mask[i & 3];
  return bytes;
}

function repeat(text, count) {
  return new Array(Math.floor(count) + 1).join(text);
}

/** The routes of a small program, in the order in which a maker would write them. */
function routes(app) {
  var page = '<!doctype html><title>Pico</title><p>' + repeat('x', 150);
  app.route('/', 'GET', function () { return new library.Response(page, 200, 'text/html'); });
  app.route('/sensors', 'GET', function () { return { temperature: 21.5, humidity: 40 }; });
  app.route('/settings', 'POST', function (path, query, headers, body) { return { bytes: body.length }; });
  app.route('/echo', 'POST', function (path, query, headers, body) { return body; });
  app.route('/(www/.*)', 'GET', function (path) { return new library.FileResponse(path); });
  app.route('/ws', 'WEBSOCKET', function (path, headers, ws) {
    ws.onmessage = function (data) { ws.send(data); };
  });
}
