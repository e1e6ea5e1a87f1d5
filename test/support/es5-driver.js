// Runs after the library in an engine that knows ES5 and nothing newer: what Kaluma adds to the language, a driver
// with one client, and requests. Prints what the client gets.
// The runner puts the library before it as function library(exports) {...}.

var out = print;

if (typeof Uint8Array === 'undefined') {
  this.Uint8Array = function (source) {
    var length = typeof source === 'number' ? source : source.length;
    for (var i = 0; i < length; i++) this[i] = typeof source === 'number' ? 0 : source[i];
    this.length = length;
  };
  Uint8Array.prototype.set = function (from, at) {
    for (var i = 0; i < from.length; i++) this[(at || 0) + i] = from[i] & 255;
  };
  Uint8Array.prototype.subarray = function (start, end) {
    var part = [];
    for (var i = start; i < (end === undefined ? this.length : Math.min(end, this.length)); i++) part.push(this[i]);
    return new Uint8Array(part);
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
  var escaped = '';
  for (var i = 0; i < bytes.length; i++) escaped += (bytes[i] < 16 ? '%0' : '%') + bytes[i].toString(16);
  return decodeURIComponent(escaped);
};
var clock = 0;
this.millis = function () { return clock; };
var timers = [];
this.setInterval = function (callback) { return timers.push(callback); };
this.clearInterval = function (id) { timers[id - 1] = null; };
this.console = { log: out, error: out };

var sockets = [];
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
    bind: function () { this.errno = 0; },
    listen: function () { this.errno = 0; },
    shutdown: function () { this.errno = 0; }, // there is never a PCB to hold
    write: function (fd, data) { sent += data; this.errno = 0; },
    close: function (fd) {
      var socket = sockets[fd];
      sockets[fd] = null;
      if (socket.close_cb) socket.close_cb();
      this.errno = 0;
    },
  },
};

var module = {};
library(module);
var server = new module.Server();
server.route('/h(.*)', 'GET', function (path, query, headers, body, match) { return match[1] + ' ' + query + ' ' + headers['x-a']; });
server.route('/json', 'POST', function (path, query, headers, body) { return { body: module.text(body) }; });
server.route('/form', 'GET', function (path, query) { return module.urlDecode(query); });
server.listen(80);
var listening = sockets[0];

var request = function (text) {
  sent = '';
  var fd = global.__netdev.socket();
  listening.accept_cb(fd);
  listening.read_cb(bytesOf(text));
  for (var i = 0; i < 3; i++, clock++) if (timers[0]) timers[0]();
  for (var turns = 0; sockets[fd] && turns < 100; turns++, clock += 100) timers[0]();
  out(sent.replace(/\r\n/g, '|').replace(/[^ -~]/g, function (c) { return '\\x' + c.charCodeAt(0).toString(16); }));
};

request('GET /hello%20w%C3%B6rld?q=1 HTTP/1.1\r\nHost: x\r\nX-A: b\r\n\r\n');
request('POST /json HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\xe2\x82\xac');
request('GET /form?a+b%21 HTTP/1.0\r\n\r\n');
request('GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n');
request('DELETE /json HTTP/1.1\r\nHost: x\r\n\r\n');
