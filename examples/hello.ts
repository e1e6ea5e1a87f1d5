// The shortest program: one page.
import { Response, Server, route } from '../ehttpserver';
import { address, online } from './lib/wifi';

const PAGE = `<!DOCTYPE html><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>Pico W</title>
<h1 style="font: 28px sans-serif">Hello from the Pico W!</h1>`;

class Site extends Server {
  @route('/')
  home() {
    return new Response(PAGE, 200, 'text/html');
  }
}

online(() => {
  new Site().listen(80, () => console.log('Open ' + address()));
});
