// Runs after the library in an engine that knows ES5 and nothing newer: what Kaluma adds to the language, a driver
// with one client, and requests. Prints what the client gets.
// The runner puts the library before it as functions library(exports) {...} and websocket(exports, require) {...}.

var out = print;

if (typeof Uint8Array === 'undefined') {
  this.Uint8Array = function (source) {
    var length = typeof source === 'number' ? source : source.length;
    for (var i = 0; i < length; i++) this[i] = typeof source === 'number' ? 0 : source[i];
    this.length = length;
    this.byteOffset = 0;
    this.buffer = { byteLength: length, bytes: this };
  };
  Uint8Array.prototype.set = function (from, at) {
    for (var i = 0; i < from.length; i++) this[(at || 0) + i] = from[i] & 255;
  };
  // A view, as the real one is: what is put into it is put into the whole.
  Uint8Array.prototype.subarray = function (start, end) {
    var whole = this;
    var part = new Uint8Array(0);
    part.byteOffset = whole.byteOffset + start;
    part.buffer = whole.buffer;
    part.length = Math.max(0, (end === undefined ? this.length : Math.min(end, this.length)) - start);
    var show = function (i) {
      Object.defineProperty(part, i, {
        get: function () { return whole[start + i]; },
        set: function (byte) { whole[start + i] = byte & 255; },
      });
    };
    for (var i = 0; i < part.length; i++) show(i);
    return part;
  };
  this.Symbol = { iterator: '@@iterator' };
  // Words over the bytes of a buffer, or over new ones; the lowest byte first.
  this.Int32Array = function (source) {
    var bytes = source.bytes || new Uint8Array(4 * source);
    var words = this;
    var show = function (i) {
      Object.defineProperty(words, i, {
        get: function () { return bytes[4 * i] | bytes[4 * i + 1] << 8 | bytes[4 * i + 2] << 16 | bytes[4 * i + 3] << 24; },
        set: function (word) { for (var j = 0; j < 4; j++) bytes[4 * i + j] = word >> 8 * j & 255; },
      });
    };
    this.length = bytes.length >> 2;
    for (var i = 0; i < this.length; i++) show(i);
    this.buffer = { bytes: bytes };
  };
  this.escape = function (text) {
    return text.replace(/[^\w@*+\-./]/g, function (character) { return '%' + character.charCodeAt(0).toString(16); });
  };
  this.unescape = function (text) {
    return text.replace(/%([0-9a-f]{2})/gi, function (all, hex) { return String.fromCharCode(parseInt(hex, 16)); });
  };
}
var bytesOf = function (binary) {
  var bytes = new Uint8Array(binary.length);
  for (var i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
};
this.TextEncoder = function () {};
TextEncoder.prototype.encode = function (text) {
  return bytesOf(encodeURIComponent(text).replace(/%(..)/g, function (all, hex) { return String.fromCharCode(parseInt(hex, 16)); }));
};
this.TextDecoder = function () {};
TextDecoder.prototype.decode = function (bytes) {
  var text = '';
  var escaped = '';
  for (var i = 0; i < bytes.length; i++) {
    if (bytes[i] > 127) {
      escaped += '%' + bytes[i].toString(16);
    } else { // not as an escape: mujs leaves "%00"
      text += decodeURIComponent(escaped) + String.fromCharCode(bytes[i]);
      escaped = '';
    }
  }
  return text + decodeURIComponent(escaped);
};
this.btoa = function (bytes) {
  var base64 = '';
  for (var i = 0; i < bytes.length; i += 3) {
    for (var j = 0, bits = (bytes[i] & 255) << 16 | (bytes[i + 1] & 255) << 8 | bytes[i + 2] & 255; j < 4; j++) {
      base64 += i + j > bytes.length ? '=' : 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'.charAt(bits >> 18 - 6 * j & 63);
    }
  }
  return base64;
};
var clock = 0;
this.millis = function () { return clock; };
var timers = [];
this.setInterval = function (callback) { return timers.push(callback); };
this.clearInterval = function (id) { timers[id - 1] = null; };
this.console = { log: out, error: out };

var sockets = [];
var pcbs = 5;
var sent = '';
this.global = {
  __netdev: {
    errno: 0,
    ip: '127.0.0.1',
    socket: function () {
      for (var fd = 0; sockets[fd]; fd++);
      sockets[fd] = { fd: fd };
      return fd;
    },
    get: function (fd) { return sockets[fd]; },
    bind: function (fd, address, port) {
      sockets[fd].port = port;
      if (!port) takePcb(fd);
      this.errno = 0;
    },
    listen: function () { this.errno = 0; },
    shutdown: function (fd) { this.errno = sockets[fd].hasPcb ? -1 : 0; }, // upside down
    write: function (fd, data) { sent += data; this.errno = 0; },
    close: function (fd) {
      var socket = sockets[fd];
      sockets[fd] = null;
      if (socket.hasPcb) pcbs++;
      if (socket.close_cb) socket.close_cb();
      this.errno = 0;
    },
  },
};

var takePcb = function (fd) {
  sockets[fd].hasPcb = pcbs > 0;
  if (pcbs > 0) pcbs--;
};
/** A client connects. */
var connect = function () {
  var fd = global.__netdev.socket();
  takePcb(fd);
  listening.accept_cb(fd);
  return fd;
};

var module = {};
library(module);
var server = new module.Server();
server.route('/h(.*)', 'GET', function (path, query, headers, body, match) { return match[1] + ' ' + query + ' ' + headers['x-a']; });
server.route('/json', 'POST', function (path, query, headers, body) { return { body: module.text(body) }; });
server.route('/form', 'GET', function (path, query) { return module.urlDecode(query); });
server.listen(80);
var listening = sockets[0];

var pass = function (times) {
  for (var i = 0; i < times; i++, clock++) if (timers[0]) timers[0]();
};
var request = function (text) {
  sent = '';
  var fd = connect();
  listening.read_cb(bytesOf(text));
  pass(3);
  for (var turns = 0; sockets[fd] && turns < 100; turns++, clock += 100) timers[0]();
  show();
  fin(fd);
};
// The client ends the connection, too: the driver closes whoever has its number by then.
var fin = function (fd) {
  var socket = sockets[fd];
  sockets[fd] = null;
  if (socket) socket.close_cb();
};
var show = function () {
  out(sent.replace(/\r\n/g, '|').replace(/[^ -~]/g, function (c) { return '\\x' + c.charCodeAt(0).toString(16); }));
};

request('GET /hello%20w%C3%B6rld?q=1 HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0\r\nX-A: b\r\n\r\n');
request('POST /json HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0\r\nContent-Length: 3\r\n\r\n\xe2\x82\xac');
request('GET /form?a+b%21 HTTP/1.0\r\n\r\n');
request('GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n');
request('DELETE /json HTTP/1.1\r\nHost: x\r\nUser-Agent: Mozilla/5.0\r\n\r\n');
server.close();

var module2 = {};
websocket(module2, function () { return module; });
server = new module2.WebSocketServer();
server.route('/echo', 'WEBSOCKET', function (path, headers, ws) {
  ws.onmessage = function (message) { ws.send(typeof message === 'string' ? message + '!' : message); };
  ws.onclose = function (code) { out('closed ' + code); };
});
timers = [];
server.listen(80);
var say = function (text) {
  sent = '';
  listening.read_cb(bytesOf(text));
  pass(10);
  show();
};
var handshake = function (port) {
  listening = sockets.filter(function (socket) { return socket && socket.port === port && socket.accept_cb; })[0];
  connect();
  say('GET /echo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
    + 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
};
handshake(80);
handshake(81);
say('\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58'); // "Hello", RFC 6455, section 5.7
say('\x01\x83\0\0\0\0\xe2\x82\xac\x89\x81\0\0\0\0p\x80\x81\0\0\0\0e');
say('\x88\x82\0\0\0\0\x03\xe9');
