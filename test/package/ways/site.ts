// A program in TypeScript, with the library's source beside it.
import { WiFi } from 'wifi';
import { FileResponse, Server, route } from './ehttpserver';

class Site extends Server {
  greeting = 'Hello!';

  @route('/')
  home() {
    return this.greeting;
  }

  @route('/file')
  *file() {
    yield;
    return new FileResponse('/www/page.html');
  }
}

new WiFi().connect((error: unknown) => {
  if (error) return console.error(error);
  new Site().listen(80, () => console.log(`http://${__netdev.ip}/`));
});
