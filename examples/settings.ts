// Settings that outlive a restart: a form for people, JSON for programs, and the LED that obeys them.
import { PicoCYW43 } from 'pico_cyw43';
import { RequestHeaders, Response, Server, route, run, text, urlDecode } from '../ehttpserver';
import { escapeHtml, page } from './lib/page';
import { address, online } from './lib/wifi';

interface Settings {
  /** Of the board: the title of the page. */
  name: string;
  /** The LED blinks, else it is off. */
  blink: boolean;
  /** Milliseconds between two changes of the LED. */
  interval: number;
}

type Errors = { [setting: string]: string };

const LED = 0; // the LED of the Pico W is a pin of its Wi-Fi chip
const KEY = 'SETTINGS';
const STORED_BYTES = 200; // the storage takes 253 bytes at a time, the key included
const chip = new PicoCYW43();
let settings: Settings = { name: 'My Pico W', blink: true, interval: 500 };

/** What is wrong, by setting. Whatever a client sends comes through here: it may be anything. */
function check({ name, blink, interval }: { [setting in keyof Settings]?: unknown }): Errors {
  const errors: Errors = {};
  if (typeof name !== 'string' || !/^[ -\uffff]{1,24}$/.test(name) || !name.trim()) {
    errors.name = 'Please give it a name of 1 to 24 characters.';
  }
  if (typeof blink !== 'boolean') errors.blink = 'Please say true or false.';
  if (typeof interval !== 'number' || interval % 1 !== 0 || interval < 50 || interval > 5000) {
    errors.interval = 'Please choose a whole number from 50 to 5000.';
  }
  return errors;
}

const anyOf = (errors: Errors) => Object.keys(errors).length > 0;

/** What a text in JSON stands for, before check(); null if it is none. */
function parseJson(json: string | null): Settings | null {
  try {
    return JSON.parse(json!);
  } catch {
    return null;
  }
}

function load(): void {
  const stored = parseJson(storage.getItem(KEY));
  if (stored && !anyOf(check(stored))) settings = stored;
}

function save({ name, blink, interval }: Settings): void {
  settings = { name, blink, interval };
  const json = JSON.stringify(settings);
  // Spaces make it as long as it ever was. (Behind a shorter text the storage would keep the end of the one before, and on reading it
  // would overwrite as many bytes of other memory.)
  storage.setItem(KEY, json + ' '.repeat(STORED_BYTES - new TextEncoder().encode(json).length));
}

/** The fields of a form; null if they are malformed. */
function parseForm(body: Uint8Array): Map<string, string> | null {
  const form = new Map<string, string>();
  const pairs = text(body);
  if (pairs === null) return null;
  for (const pair of pairs.split('&')) {
    const [name, value] = pair.split('=').map(urlDecode);
    if (name === null || value === null) return null;
    form.set(name, value || '');
  }
  return form;
}

/** The page with the form. Values and errors may be what somebody sent, so they are escaped. */
function formPage(values: { name: string, blink: boolean, interval: number | string }, errors: Errors, note = ''): string {
  const errorOf = (setting: string) => (errors[setting] ? '<em class="bad">' + escapeHtml(errors[setting]) + '</em>' : '');
  return page(settings.name, `
<style>
  label, em { display: block; margin: 0 0 12px; font-style: normal }
  form p { margin: 0 }
  input:not([type=checkbox]) { box-sizing: border-box; width: 100%; padding: 8px; border: 1px solid #aab8b0; border-radius: 8px; font: inherit }
</style>
<section>
  <form method="post" action="/">
    <label>Name <input name="name" value="${escapeHtml(values.name)}">${errorOf('name')}</label>
    <label><input name="blink" type="checkbox"${values.blink ? ' checked' : ''}> The LED blinks</label>
    <label>Milliseconds between on and off
      <input name="interval" inputmode="numeric" value="${escapeHtml('' + values.interval)}">${errorOf('interval')}</label>
    <p><button>Save</button> ${note}</p>
  </form>
</section>
<p class="quiet">For programs: <a href="/api/settings">/api/settings</a></p>
`);
}

class Site extends Server {
  @route('/')
  show(_path: string, query: string) {
    return new Response(formPage(settings, {}, query === 'saved' ? 'Saved.' : ''), 200, 'text/html');
  }

  @route('/', 'POST')
  submit(_path: string, _query: string, headers: RequestHeaders, body: Uint8Array) {
    // A page from elsewhere could send this form, too, from the browser of somebody at home.
    if (headers.origin && headers.origin !== 'http://' + headers.host) return new Response('This form belongs to another site', 403);
    const form = parseForm(body);
    if (!form) return new Response('This is not a form', 400);
    const name = form.get('name') || '';
    const blink = form.has('blink'); // a box without its check mark is not sent at all
    const interval = form.get('interval') || '';
    const values = { name, blink, interval: +interval };
    const errors = check(values);
    if (anyOf(errors)) return new Response(formPage({ name, blink, interval }, errors, '<span class="bad">Not saved.</span>'), 400, 'text/html');
    save(values);
    return new Response('', 303, '', { location: '/?saved' }); // the browser gets the page anew: reloading it does not send the form again
  }

  @route('/api/settings')
  get() {
    return settings;
  }

  @route('/api/settings', 'PUT')
  put(_path: string, _query: string, _headers: RequestHeaders, body: Uint8Array) {
    const json = text(body);
    // Brackets within brackets take a lot of the board's small stack, so there may be only a few.
    const values = json && json.split(/[[{]/).length < 9 ? parseJson(json) : null;
    const errors = values ? check(values) : { json: 'Please send {"name": "...", "blink": true, "interval": 500}.' };
    if (!values || anyOf(errors)) return new Response({ errors }, 400);
    save(values);
    return settings;
  }
}

function* blink() {
  for (let last = millis(); ; yield) {
    if (millis() - last < settings.interval) continue;
    last = millis();
    chip.putGpio(LED, settings.blink && !chip.getGpio(LED));
  }
}

load();
online(() => {
  run(new Site({ maxBodyBytes: 1024 }).start(80), blink());
  console.log('Open ' + address());
});
