// The page's side of WebSockets, a function for the script of a page. The README shows it, too.

/**
 * In the page: `keepSocket('/path', use)` keeps a WebSocket open. `use(ws)` is called with each new one, to set its onopen, onmessage and
 * onclose. Call it in `onload`.
 *
 * On stock firmware each of the ports behind the page's takes one socket, so the next try goes to the next port. A HEAD request comes before
 * each try: browsers drop dead connections, of which the board has five in all, only when they make a request, and the board keeps no
 * connection for HEAD.
 */
export const KEEP_SOCKET = `
  async function keepSocket(path, use) {
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    for (let n = Date.now(); ; n++) {
      // Browsers drop dead connections only when they make a request, and the board has five in all.
      await fetch('/', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(4000) }).catch(() => {});
      await pause(100); // by then the connection of the fetch has ended
      const ws = new WebSocket('ws://' + location.hostname + ':' + ((+location.port || 80) + 1 + n % 3) + path);
      setTimeout(() => ws.readyState || ws.close(), 2000); // still connecting: a new try gets through sooner
      use(ws);
      await new Promise((closed) => ws.addEventListener('close', closed));
      await pause(300);
    }
  }
`;
