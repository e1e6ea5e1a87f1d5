// A chat: what somebody types in one browser appears in all of them. Three can be in the room at once.
import { RequestHeaders, Response, route } from '../ehttpserver';
import { WebSocket, WebSocketServer } from '../websocket';
import { page } from './lib/page';
import { KEEP_SOCKET } from './lib/socket';
import { address, online } from './lib/wifi';

const KEPT = 10; // lines: who comes later sees them
const NAME = 20; // characters at most
const TEXT = 200;
const lines: string[] = []; // each is a name, a line break and a text
const room = new Set<WebSocket>();

const tell = (message: string) => room.forEach((ws) => { ws.send(message); });

/** A message without a name is about the room: how many are in it. */
const tellCount = () => tell('\n' + room.size);

class Chat extends WebSocketServer {
  @route('/')
  home() {
    return new Response(page('Chat', HOME), 200, 'text/html');
  }

  @route('/room', 'WEBSOCKET')
  enter(_path: string, _headers: RequestHeaders, ws: WebSocket) {
    lines.forEach((line) => ws.send(line));
    room.add(ws);
    tellCount();

    ws.onmessage = (line) => {
      if (typeof line !== 'string') return;
      const name = line.indexOf('\n'); // its length
      if (name < 1 || name > NAME || line.length > name + 1 + TEXT) return; // not from our page
      lines.push(line);
      if (lines.length > KEPT) lines.shift();
      tell(line);
    };
    ws.onclose = () => {
      room.delete(ws);
      tellCount();
    };
  }
}

const HOME = `
<style>
  body { display: flex; flex-direction: column; box-sizing: border-box; min-height: 100vh; min-height: 100dvh; padding-bottom: 0 }
  input { flex: 1; min-width: 0; padding: 9px 12px; border: 1px solid #aab8b0; border-radius: 8px; font: inherit }
  label, form div { display: flex; align-items: center; gap: 10px }
  form { position: sticky; bottom: 0; margin-top: auto; padding: 8px 0 16px; background: #f2f5f1 }
  #state { margin: 0 0 8px }
  #log { display: flex; flex-direction: column; gap: 8px; padding: 16px 0; overflow-wrap: anywhere }
  #log div { align-self: flex-start; max-width: 80%; padding: 6px 14px; border-radius: 16px 16px 16px 4px; background: #fff; box-shadow: 0 1px 3px #0003 }
  #log .mine { align-self: flex-end; border-radius: 16px 16px 4px 16px; background: #14532d; color: #fff }
  #log b { display: block; font-size: 13px; color: #15803d }
  #log .mine b { display: none }
</style>
<label>Your name <input id="me" maxlength="${NAME}"></label>
<div id="log"></div>
<form id="form">
  <p class="quiet" id="state">Connecting...</p>
  <div>
    <input id="words" maxlength="${TEXT}" autocomplete="off" placeholder="Say something" aria-label="Message" required>
    <button id="send" disabled>Send</button>
  </div>
</form>
<script>${KEEP_SOCKET}
  let socket;

  function add(name, text) {
    const line = document.createElement('div'), who = document.createElement('b');
    line.className = name === me.value ? 'mine' : '';
    who.textContent = name;
    line.append(who, text); // as text: what somebody typed is not HTML
    log.append(line);
    scrollTo(0, document.body.scrollHeight);
  }

  onload = () => keepSocket('/room', (ws) => {
    socket = ws;
    ws.onopen = () => log.replaceChildren(); // the board sends the last lines anew
    ws.onmessage = ({ data }) => {
      const end = data.indexOf('\\n'), text = data.slice(end + 1);
      if (end) return add(data.slice(0, end), text);
      state.textContent = text > 1 ? text + ' are in the room' : 'Nobody else is in the room';
      send.disabled = false;
    };
    ws.onclose = () => {
      state.textContent = 'No connection, trying again...';
      send.disabled = true;
    };
  });

  form.onsubmit = (event) => {
    event.preventDefault();
    socket.send(me.value + '\\n' + words.value);
    words.value = '';
  };
  me.onchange = () => {
    me.value = localStorage.name = me.value.trim() || 'Guest ' + Math.floor(Math.random() * 100);
  };
  me.value = localStorage.name || '';
  me.onchange();
</script>
`;

online(() => {
  // A page that vanished without a goodbye is noticed within 15 seconds. Until then it keeps its port.
  new Chat({ pingSeconds: 5 }).listen(80, () => console.log('Open ' + address()));
});
