// The page's side of WebSockets, a function for the script of a page. The README shows it, too.

/**
 * In the page: `keepSocket('/path', use)` keeps a WebSocket open. `use(ws)` is called with each new one, to set its onopen, onmessage and
 * onclose. Call it in `onload`.
 *
 * On stock firmware each of the ports behind the page's takes one socket, so the next try goes to the next port. HEAD requests come before each
 * try, and for a while after the page has loaded: the board has five connections in all, browsers drop dead ones only when they make a
 * request, and the board keeps no connection for HEAD. The spare connections that a browser begins while it loads a page get through
 * after 1, 3, 7 and 15 seconds, and are ended by the board half a second later.
 */
export const KEEP_SOCKET = `
  async function keepSocket(path, use) {
    const pause = (ms) => new Promise((done) => setTimeout(done, ms));
    // The browser drops dead connections when it makes a request; the board has five in all.
    const tidy = () => fetch('/', { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(4000) }).catch(() => {});
    for (const seconds of [2, 4, 8, 16, 32]) setTimeout(tidy, seconds * 1000);
    for (let n = Date.now(); ; n++) {
      await tidy();
      await pause(100); // by then the connection of the fetch has ended
      const ws = new WebSocket('ws://' + location.hostname + ':' + ((+location.port || 80) + 1 + n % 3) + path);
      setTimeout(() => ws.readyState || ws.close(), 4000); // still connecting: a new try gets through sooner
      use(ws);
      await new Promise((closed) => ws.addEventListener('close', closed));
      await pause(300);
    }
  }
`;
