// Messages both ways: the page sends what you type over a WebSocket, and the board sends it back.
import { RequestHeaders, Response, route } from '../ehttpserver';
import { WebSocket, WebSocketServer } from '../websocket';
import { page } from './lib/page';
import { KEEP_SOCKET } from './lib/socket';
import { address, online } from './lib/wifi';

class Site extends WebSocketServer {
  @route('/')
  home() {
    return new Response(page('Echo', HOME), 200, 'text/html');
  }

  // A generator for every open socket. While it waits for a message, everybody else has their turn.
  @route('/ws', 'WEBSOCKET')
  *echo(_path: string, _headers: RequestHeaders, ws: WebSocket) {
    for (;;) {
      const message = yield* ws.recv();
      if (message === null) return; // the page has gone
      yield* ws.send(message);
    }
  }
}

const HOME = `
<style>
  section { position: sticky; top: 8px }
  form { display: flex; gap: 10px }
  input { flex: 1; min-width: 0; padding: 9px 12px; border: 1px solid #aab8b0; border-radius: 8px; font: inherit }
  #log { display: flex; flex-direction: column; gap: 8px; overflow-wrap: anywhere }
  #log div { align-self: flex-end; max-width: 80%; padding: 6px 14px; border-radius: 16px 16px 4px 16px; background: #14532d; color: #fff }
  #log .board { align-self: flex-start; border-radius: 16px 16px 16px 4px; background: #fff; color: inherit; box-shadow: 0 1px 3px #0003 }
</style>
<section>
  <form id="form">
    <input id="words" autocomplete="off" placeholder="Say something" aria-label="Message" required>
    <button id="send" disabled>Send</button>
  </form>
</section>
<p class="quiet" id="state">Connecting...</p>
<div id="log"></div>
<script>${KEEP_SOCKET}
  let ws;

  function say(who, text) {
    const line = document.createElement('div');
    line.className = who;
    line.textContent = text;
    log.append(line);
    line.scrollIntoView({ block: 'nearest' });
  }

  onload = () => keepSocket('/ws', (next) => {
    ws = next;
    ws.onopen = () => {
      state.textContent = 'Connected';
      send.disabled = false;
    };
    ws.onmessage = ({ data }) => say('board', data);
    ws.onclose = () => { // also when there was no connection in the first place
      state.textContent = 'No connection, trying again...';
      send.disabled = true;
    };
  });

  form.onsubmit = (event) => {
    event.preventDefault();
    ws.send(words.value);
    say('me', words.value);
    words.value = '';
  };
</script>
`;

online(() => {
  // A page that vanished without a goodbye is noticed within 15 seconds. Until then it keeps its port.
  new Site({ pingSeconds: 5 }).listen(80, () => console.log('Open ' + address()));
});
