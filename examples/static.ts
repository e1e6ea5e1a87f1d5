// A site of files. They lie in the board's own file system, in the folder /www, which this program makes when it runs for the first time.
// Those of examples/www are put there by `npm run put -- examples/www/* --to /www/`.
import { exists, mkdir } from 'fs';
import { FileResponse, Server, route } from '../ehttpserver';
import { address, online } from './lib/wifi';

class Site extends Server {
  @route('/')
  home() {
    return new FileResponse('/www/index.html');
  }

  // On the board there is only /www/app.js.gz, packed: less flash, and it arrives in half the time. Browsers unpack it by themselves. They
  // may keep this one for a day without asking again; the other files are small.
  @route('/app\\.js')
  script() {
    return new FileResponse('/www/app.js', { 'cache-control': 'max-age=86400' });
  }

  // Routes are tried from top to bottom, so this is for everything else. There is no way out of /www: ".." gets 404.
  @route('/.*')
  file(path: string) {
    return new FileResponse('/www' + path);
  }
}

if (!exists('/www')) mkdir('/www');

online(() => {
  new Site().listen(80, () => console.log('Open ' + address()));
});
