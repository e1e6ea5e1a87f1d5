// Loads the library from the board's file system, each file once: npm run put -- dist/ehttpserver.js dist/websocket.js --to /lib/
const loaded = {};
function load(name) {
  if (name[0] !== '.') return require(name);
  if (!loaded[name]) {
    const text = new TextDecoder('utf-8').decode(require('fs').readFile('/lib/' + name + '.js'));
    new Function('exports', 'require', text)(loaded[name] = {}, load);
  }
  return loaded[name];
}
