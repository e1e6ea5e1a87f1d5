// What the library finds on a board, for an engine that knows ES5 and nothing newer (Debian's duktape; its Uint8Array,
// TextEncoder and TextDecoder are its own), and one client. As little as will do: its instructions are in every figure.
// The runner puts the library before it, as functions that take what a CommonJS module gets.

var sockets = [];
var pcbs = 5;
var room = 11680;
/** What clients get: characters of it, and while `keep` is set the text. */
var sentLength = 0;
var keep = true;
var sent = '';
var clock = 0;

function newSocket() {
  for (var fd = 0; sockets[fd]; fd++);
  if (fd > 15) throw new Error('Remote I/O error');
  sockets[fd] = { fd: fd, pcb: 0 };
  return fd;
}

var netdev = {
  errno: 0,
  ip: '192.168.4.1',
  socket: newSocket,
  get: function (fd) { return sockets[fd]; },
  bind: function (fd, address, port) {
    if (!port && pcbs) sockets[fd].pcb = pcbs--;
    this.errno = 0;
  },
  listen: function () { this.errno = 0; },
  shutdown: function (fd, how) { this.errno = how && sockets[fd].pcb ? -1 : 0; }, // upside down, as the board's
  write: function (fd, data) {
    this.errno = data.length > room ? -1 : 0;
    if (this.errno) return;
    room -= data.length;
    sentLength += data.length;
    if (keep) sent += data;
  },
  close: function (fd) {
    var socket = sockets[fd];
    sockets[fd] = null;
    if (socket.pcb) pcbs++;
    if (socket.close_cb) socket.close_cb();
    this.errno = 0;
  },
};

this.global = { __netdev: netdev };
this.millis = function () { return clock; };
this.setInterval = function () {};
this.btoa = function (bytes) { return Duktape.enc('base64', bytes); };

/** 30 KB of text in the one file that there is. */
var FILE = '/www/page.html';
var fileBytes = new Uint8Array(30720);
for (var at = 0; at < fileBytes.length; at++) fileBytes[at] = 97 + at % 26;
var fs = {
  at: 0,
  stat: function (path) {
    if (path !== FILE) throw new Error('No such file or directory');
    return { size: fileBytes.length, isFile: function () { return true; } };
  },
  open: function () { return fs.at = 0; },
  read: function (fd, buffer, offset, length) {
    buffer.set(fileBytes.subarray(fs.at, fs.at + length), offset);
    fs.at += length;
    return length;
  },
  close: function () {},
};

var library = {};
var webSocketLibrary = {};
loadLibrary(library, function () { return fs; });
loadWebSocketLibrary(webSocketLibrary, function () { return library; });

function bytesOf(text) {
  var bytes = new Uint8Array(text.length);
  for (var i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// ------------------------------------------------------------------------------------------ what calls the library

/** Whatever the driver or the event loop calls in the library, it calls through this, so that it can be something else. */
var call = function (callback, argument) { callback(argument); };
var server;
var listening;
var routed = false;
function next() { server.next(); }

function listen(options, routes) {
  options.sockets = 0; // one port: the one client's
  server = new webSocketLibrary.WebSocketServer(options);
  routes(server);
  server.start(80);
  for (var fd = 0; !sockets[fd].accept_cb; fd++);
  listening = sockets[fd];
  step();
}

/** One pass of the event loop: every client acknowledges what it was sent. */
function step() {
  call(next);
  room = 11680;
}

/** A client connects. Returns its fd. */
function connect() {
  if (!pcbs) throw new Error('No PCB');
  var fd = newSocket();
  sockets[fd].pcb = pcbs--;
  call(listening.accept_cb, fd);
  return fd;
}

function deliver(fd, data) {
  call(routed ? sockets[fd].read_cb : listening.read_cb, data);
}

/** The client's FIN for what the server closed: it is accounted to the number, which the server keeps until then. */
function late(fd) {
  var parked = sockets[fd];
  sockets[fd] = null;
  call(parked.close_cb);
}

/** Steps until the server has closed the connection; then the client does. */
function untilClosed(fd) {
  var socket = sockets[fd];
  while (sockets[fd] === socket) step();
  late(fd);
}
