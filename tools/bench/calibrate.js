// Some of everything that an engine does, and nothing of the library: where this takes another number of instructions than
// before, it is another build of the engine, or another C library, and no figure says anything about the library's code.
// So it must stay as it is.
function calibrate() {
  var bytes = new Uint8Array(1024);
  var text = '';
  var object = {};
  for (var i = 0; i < 1024; i++) bytes[i] = 97 + i % 26;
  for (var n = 0; n < 4; n++) {
    text += String.fromCharCode.apply(null, bytes.subarray(n * 100, n * 100 + 100)) + '; ';
    object['key' + n] = text.split(';').map(function (part) { return part.trim().toUpperCase(); }).join('-');
    if (/^([a-z; ]+)b\1/i.test(text) || JSON.stringify(object).indexOf('XYZ') < 0) throw new Error('Impossible');
  }
}

calibrate();
Duktape.gc();
mark('');
calibrate();
mark('calibration');
