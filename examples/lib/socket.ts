// The page's side of WebSockets, a function for the script of a page. The README shows it, too.

/**
 * In the page: `keepSocket('/path', use)` keeps a WebSocket open. `use(ws)` is called with each new one, to set its onopen, onmessage and
 * onclose. Call it in `onload`: the first socket opens a second later.
 *
 * On stock firmware each of the ports behind the page's takes one socket, so the next try goes to the next port. The pauses let the board
 * finish: it hears the connection of a page, or of the fetch, for another quarter of a second, and lets nobody else in meanwhile.
 */
export const KEEP_SOCKET = `
  async function keepSocket(path, use) {
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    for (let n = Date.now(); ; n++) {
      // Browsers drop dead connections only when they make a request, and the board has five in all.
      await fetch('/', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(4000) }).catch(() => {});
      await pause(700); // by then the board has ended the fetch's connection
      const ws = new WebSocket('ws://' + location.hostname + ':' + ((+location.port || 80) + 1 + n % 3) + path);
      setTimeout(() => ws.readyState || ws.close(), 4000); // still connecting: a new try gets through sooner
      use(ws);
      await new Promise((closed) => ws.addEventListener('close', closed));
      await pause(300);
    }
  }
`;
