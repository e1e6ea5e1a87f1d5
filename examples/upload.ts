// Files from the browser into the board's file system, and back. The browser sends each file as it is, as the body of a PUT request.
import { close, exists, mkdir, open, readdir, stat, unlink, write } from 'fs';
import { FileResponse, RequestHeaders, Response, Server, route } from '../ehttpserver';
import { page } from './lib/page';
import { address, online } from './lib/wifi';

const FOLDER = '/upload';
const MAX_BYTES = 16384; // a body is in memory as a whole, so this is what an upload can cost. Of a larger one nothing is kept: 413

/** Where a file of that name is; null for names that could mean something else than a file in the folder, or are too long. */
function pathOf(name: string): string | null {
  const good = /^[^\/\\\x00-\x1f\ud800-\udfff]{1,60}$/.test(name) && name !== '.' && name.indexOf('..') < 0;
  return good ? FOLDER + '/' + name : null;
}

/** True if the file was written. On a full file system nothing is left of it. */
function store(path: string, data: Uint8Array): boolean {
  const file = open(path, 'w');
  try {
    write(file, data);
  } catch (error) {
    data = data.subarray(0, 0);
    return false;
  } finally {
    close(file);
  }
  return true;
}

class Site extends Server {
  @route('/')
  home() {
    return new Response(page('Files on the board', HOME), 200, 'text/html');
  }

  // One file at a step: to look one up takes its time, and others get their turn in between.
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

  @route('/files/(.*)', 'PUT')
  upload(_path: string, _query: string, _headers: RequestHeaders, body: Uint8Array, match: string[]) {
    const path = pathOf(match[1]);
    if (!path) return new Response('A file of that name cannot be stored', 400);
    if (store(path, body)) return new Response('Stored', 201);
    unlink(path);
    return new Response('There is no room left on the board', 507);
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
    return undefined; // 204
  }
}
