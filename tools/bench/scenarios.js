// What is measured again and again. Each scenario prepares the board and returns what is done once.

/** By name: how often it is done for one figure, and what prepares it. */
var scenarios = {};
function scenario(name, count, prepare) {
  scenarios[name] = { count: count, prepare: prepare };
}

function expect(start, length) {
  if (sent.slice(0, start.length) !== start || (length && sentLength !== length)) {
    throw new Error('Not what was expected, but ' + sentLength + ' characters: ' + sent.slice(0, 200));
  }
}

/** Requests one after the other down one connection of stock firmware: what a browser does with a page and its parts. */
function kept(segments, start) {
  listen({}, routes);
  var fd = connect();
  var data = segments.map(bytesOf);
  return function () {
    var before = sentLength;
    for (var i = 0; i < data.length; i++) deliver(fd, data[i]);
    while (sentLength === before) step();
    if (keep) expect(start);
  };
}

/** A connection for every request. */
function single(request, firmware, start, length) {
  listen({}, routes);
  routed = firmware === 'routed';
  var data = bytesOf(request);
  return function () {
    var fd = connect();
    deliver(fd, data);
    untilClosed(fd);
    if (keep) expect(start, length);
  };
}

scenario('GET, kept connection', 10, function () { return kept([get('/')], 'HTTP/1.1 200 \r\ncontent-type: text/html'); });
scenario('GET, connection of its own', 10, function () { return single(get('/'), 'routed', 'HTTP/1.1 200 \r\n'); });
scenario('404, kept connection', 10, function () { return kept([get('/favicon.ico')], 'HTTP/1.1 404 \r\n'); });
scenario('POST of 1 KB, connection of its own', 10, function () {
  return single(post('/settings', 1024) + repeat('0123456789abcdef', 64), 'routed', 'HTTP/1.1 200 \r\ncontent-type: application/json');
});
scenario('file of 30 KB, all steps', 3, function () {
  return single(get(FILE), 'stock', 'HTTP/1.1 200 \r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: 30720');
});

function openWebSocket() {
  listen({}, routes);
  var fd = connect();
  deliver(fd, bytesOf(HANDSHAKE));
  while (!sentLength) step();
  expect('HTTP/1.1 101 ');
  return fd;
}

function echo(length) {
  var fd = openWebSocket();
  var data = frame(0x81, bytesOf(repeat('a', length)));
  sent = '';
  return function () {
    var before = sentLength;
    deliver(fd, data);
    while (sentLength === before) step();
    if (keep) expect('\x81' + (length > 125 ? '~' + String.fromCharCode(length >> 8, length & 255) : String.fromCharCode(length)) + 'aaaaaaaaaaaaaaaa');
  };
}

[16, 125, 1024].forEach(function (length) {
  scenario('WebSocket echo of ' + length + ' bytes', 10, function () { return echo(length); });
});
scenario('WebSocket connection, handshake to close', 4, function () {
  listen({}, routes);
  var data = bytesOf(HANDSHAKE);
  var close = frame(0x88, [3, 232]);
  return function () {
    var fd = connect();
    var before = sentLength;
    deliver(fd, data);
    while (sentLength === before) step();
    if (keep) expect('HTTP/1.1 101 ');
    deliver(fd, close);
    untilClosed(fd);
  };
});

/** A pass of the loop in which nothing comes, one a millisecond: a hundred of them so that what is done now and then is in it. */
function idle() {
  clock++;
  step();
}

[0, 1, 4].forEach(function (count) {
  scenario('idle step, ' + count + ' open', 100, function () {
    listen({}, routes);
    routed = true;
    var fd = connect();
    deliver(fd, bytesOf(get('/'))); // which tells the server that the firmware says whose bytes they are
    untilClosed(fd);
    for (var n = 0; n < count; n++) connect();
    return idle;
  });
});
scenario('idle step, stock, 0 open', 100, function () {
  listen({}, routes);
  return idle;
});
scenario('idle step, stock, 1 WebSocket', 100, function () {
  openWebSocket();
  return idle;
});

// --------------------------------------------------------------------------------------------------------- measuring

/**
 * Marks a run of `count` times and one of twice as many: their difference is `count` times without what marks and loop cost.
 * Then the same with the board alone: whatever the library had called in it is called again, without the library.
 */
function measure(name) {
  var count = scenarios[name].count;
  var one = scenarios[name].prepare();
  one();
  keep = false;
  sent = '';
  repeated(one, count); // until every buffer has its size
  runs('', one, count);
  replay(record(one, count));
  runs('board ', one, count);
}

function runs(prefix, one, count) {
  repeated(one, count);
  Duktape.gc(); // so that none falls into what is measured
  mark('');
  repeated(one, count);
  mark(prefix + 'once');
  repeated(one, 2 * count);
  mark(prefix + 'twice');
}

function repeated(one, count) {
  for (var i = 0; i < count; i++) one();
}

/** What the library calls in the board, for each time that it is called itself. */
function record(one, count) {
  var lists = [];
  var original = {};
  var direct = call;
  ['socket', 'get', 'bind', 'listen', 'shutdown', 'write', 'close'].forEach(function (name) {
    original[name] = netdev[name];
    netdev[name] = function (a, b, c) {
      lists[lists.length - 1].push(function () { netdev[name](a, b, c); });
      return original[name].call(netdev, a, b, c);
    };
  });
  call = function (callback, argument) {
    lists.push([]);
    direct(callback, argument);
  };
  repeated(one, count);
  for (var name in original) netdev[name] = original[name];
  return lists;
}

function replay(lists) {
  var at = 0;
  call = function () {
    for (var list = lists[at++ % lists.length], i = 0; i < list.length; i++) list[i]();
  };
}
