// Files from the browser into the board's file system, and back. The browser sends each file as it is, as the body of a PUT request.
import { close, exists, mkdir, open, readdir, stat, unlink, write } from 'fs';
import { FileResponse, RequestHeaders, Response, Server, route } from '../ehttpserver';
import { page } from './lib/page';
import { address, online } from './lib/wifi';

const FOLDER = '/upload';
const MAX_BYTES = 16384; // of one file: while it comes in it is in memory as a whole

/** Where a file of that name is; null for a name that could lead out of the folder, or that the file system cannot keep. */
function pathOf(name: string): string | null {
  const good = /^[ -\ud7ff\ue000-\uffff]{1,60}$/.test(name) && !/[/\\]|^\.$|\.\./.test(name);
  return good ? FOLDER + '/' + name : null;
}

function store(path: string, data: Uint8Array): void {
  const file = open(path, 'w');
  try {
    write(file, data);
  } finally {
    close(file);
  }
}

class Site extends Server {
  @route('/')
  home() {
    return new Response(page('Files on the board', HOME), 200, 'text/html');
  }

  // A generator, one file at a step: looking one up takes its time, and others get their turn in between.
  @route('/files')
  *list() {
    const files = [];
    for (const name of readdir(FOLDER)) {
      yield;
      const path = FOLDER + '/' + name;
      if (exists(path)) files.push({ name, size: stat(path).size }); // somebody may have deleted it meanwhile
    }
    return files;
  }

  // What is larger than MAX_BYTES does not come here: the server has answered 413.
  @route('/files/(.*)', 'PUT')
  upload(_path: string, _query: string, _headers: RequestHeaders, body: Uint8Array, match: string[]) {
    const path = pathOf(match[1]);
    if (!path) return new Response('The board takes no file of that name', 400);
    try {
      store(path, body);
    } catch {
      if (exists(path)) unlink(path); // a part of it
      return new Response('There is no room left on the board', 507);
    }
    return new Response('Stored', 201);
  }

  @route('/files/(.*)')
  download(_path: string, _query: string, _headers: RequestHeaders, _body: Uint8Array, match: string[]) {
    const path = pathOf(match[1]);
    // To be saved, not shown: a page that somebody uploaded must not run as a part of this site.
    return path ? new FileResponse(path, { 'content-disposition': 'attachment' }) : new Response('404', 404);
  }

  @route('/files/(.*)', 'DELETE')
  remove(_path: string, _query: string, _headers: RequestHeaders, _body: Uint8Array, match: string[]) {
    const path = pathOf(match[1]);
    if (!path || !exists(path)) return new Response('404', 404);
    unlink(path);
    return new Response('Deleted');
  }
}

const HOME = `
<style>
  li { display: flex; gap: 12px; align-items: center; padding: 8px 0; border-top: 1px solid #e3e9e5 }
  li:first-child { border: 0 }
  li a { flex: 1; overflow-wrap: anywhere }
  li button { padding: 4px 12px; background: #e3e9e5; color: #1d2b24 }
  ul { margin: 0; padding: 0; list-style: none }
  input { max-width: 100%; font: inherit }
  ::file-selector-button { margin-right: 12px; padding: 10px 20px; border: 0; border-radius: 8px; background: #14532d; color: #fff; font: inherit }
</style>
<section>
  <p><input type="file" id="chosen" multiple></p>
  <div id="news" class="quiet">A file may have up to ${MAX_BYTES / 1024} KB.</div>
</section>
<section>
  <ul id="files"></ul>
  <div id="none" class="quiet">There are no files yet.</div>
</section>
<script>
  const url = (name) => 'files/' + encodeURIComponent(name);

  function say(text, bad) {
    const line = document.createElement('div');
    line.textContent = text; // as text: a file's name is not HTML
    if (bad) line.className = 'bad';
    news.append(line);
  }

  function row({ name, size }) {
    const item = document.createElement('li'), link = document.createElement('a'), button = document.createElement('button');
    link.textContent = name;
    link.href = url(name);
    button.textContent = 'Delete';
    button.onclick = () => fetch(url(name), { method: 'DELETE' }).finally(list);
    item.append(link, size < 1024 ? size + ' B' : (size / 1024).toFixed(1) + ' KB', button);
    return item;
  }

  async function list() {
    const all = await (await fetch('files')).json();
    files.replaceChildren(...all.map(row));
    none.hidden = all.length > 0;
  }

  async function upload(file) {
    try {
      const { status } = await fetch(url(file.name), { method: 'PUT', body: file });
      if (status === 201) say(file.name + ' is on the board.');
      else if (status === 413) say(file.name + ' is too large: the board takes up to ${MAX_BYTES / 1024} KB.', true);
      else if (status === 507) say('There is no room left for ' + file.name + '.', true);
      else say('The board takes no file of the name ' + file.name + '.', true);
    } catch (error) {
      say(file.name + ' did not get through.', true);
    }
  }

  chosen.onchange = async () => {
    news.replaceChildren();
    for (const file of chosen.files) await upload(file); // one after the other: the board listens to one at a time
    chosen.value = '';
    list();
  };
  list();
</script>
`;

if (!exists(FOLDER)) mkdir(FOLDER);

online(() => {
  new Site({ maxBodyBytes: MAX_BYTES }).listen(80, () => console.log('Open ' + address()));
});
