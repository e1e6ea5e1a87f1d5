// The shortest program: one page.
import { Server, route } from '../ehttpserver';
import { address, online } from './lib/wifi';

class Site extends Server {
  @route('/')
  home() {
    return 'Hello from the Pico W!';
  }
}

online(() => {
  new Site().listen(80, () => console.log('Open ' + address()));
});
