// What npm start notices of a program that serves nobody: it does not listen, nothing steps its server, or it keeps the processor.

/** Milliseconds without a listening server. */
const LISTENING = 3000;
/** Looks so many ms apart, and how many of them a server may leave a request alone; a machine that sleeps meanwhile makes no looks. */
const LOOK = 250;
const PATIENCE = 8;
/** A pass of the loop that takes so many ms is told; the same again not before so many. */
const BUSY = 250;
const BUSY_AGAIN = 5000;

/** The time that a pass takes in the program: the processor's, and that in delay(). What the machine does meanwhile does not count. */
function watchBusyness(board, tell) {
  const { clock, pass } = board;
  const { advance } = clock;
  let delayed = 0;
  let last;
  let told = { at: -Infinity, ms: 0 };
  clock.advance = (microseconds) => {
    delayed += microseconds / 1000;
    advance.call(clock, microseconds);
  };
  const look = () => {
    const { user, system } = process.cpuUsage();
    const now = { at: board.now, busy: (user + system) / 1000 + delayed, delayed };
    const ms = last ? Math.min(now.at - last.at, now.busy - last.busy) : 0;
    if (ms >= BUSY && board.lwip.listeners.size > 0 && (now.at - told.at >= BUSY_AGAIN || ms > 2 * told.ms)) {
      tell('busy', { ms, delay: now.delayed - last.delayed > ms / 2 });
      told = { at: now.at, ms };
    }
    last = now;
  };
  board.pass = () => {
    look();
    return pass.call(board);
  };
}

/** Whether somebody steps the server: one that is stepped asks the driver all the time, one that is not answers callbacks at most. */
function watchSteps(board, tell) {
  const { netdev, driver, network } = board;
  const { dataReceived } = driver;
  const { phase } = network;
  /** Connections that sent something and got nothing, by PCB: a PCB is used again, with another serial number. */
  const unanswered = new Map();
  let inCallback = false;
  let stepped = false;
  let looks = 0;

  network.phase = () => {
    inCallback = true;
    phase.call(network);
    inCallback = false;
  };
  driver.dataReceived = (pcb, data) => {
    unanswered.set(pcb, pcb.serial);
    dataReceived.call(driver, pcb, data);
  };
  for (const [name, call] of Object.entries(netdev)) {
    if (typeof call !== 'function') continue;
    netdev[name] = (...args) => {
      if (!inCallback) stepped = true;
      if (name === 'write' && args[1]) unanswered.delete(driver.slots[args[0]]?.pcb);
      return call(...args);
    };
  }
  const timer = setInterval(() => {
    for (const [pcb, serial] of unanswered) if (!pcb.allocated || pcb.serial !== serial) unanswered.delete(pcb);
    looks = stepped || unanswered.size === 0 ? 0 : looks + 1;
    stepped = false;
    if (looks < PATIENCE) return;
    clearInterval(timer);
    tell('hint', { about: 'steps' });
  }, LOOK);
  timer.unref();
}

/** Each port that the program listens on, with where it is found, and when it cannot be. */
function watchPorts(board, tell) {
  const { lwip, network } = board;
  const { onListen } = lwip;
  lwip.onListen = (listener) => {
    const { localPort: boardPort } = listener;
    const known = network.realPort(boardPort);
    onListen(listener);
    if (known) return;
    const expected = network.expected(boardPort);
    if (expected) tell('port', { boardPort, port: expected });
    network.realPort(boardPort).then(
      (port) => expected || tell('port', { boardPort, port }),
      ({ code, message, port }) => tell('failed', { code, message, port, boardPort }),
    );
  };
}

/**
 * Watches a program that is about to be loaded.
 * @param {import('../../test/board/index.mjs').Board} board with a network of real sockets
 * @param {(type: string, content?: object) => void} tell
 */
export function watchProgram(board, tell) {
  watchBusyness(board, tell);
  watchSteps(board, tell);
  watchPorts(board, tell);
  setTimeout(() => { if (board.lwip.listeners.size === 0) tell('hint', { about: 'listening' }); }, LISTENING).unref();
  const alive = () => tell('alive');
  alive();
  setInterval(alive, LOOK).unref();
}
