// A model of the Pico W with Kaluma, as far as a program can notice it: start reading at board.mjs.
export { Board } from './board.mjs';
export { RuleError } from './rules.mjs';
export { MSS, SEND_BUFFER } from './lwip.mjs';
export { latin1 } from './net-memory.mjs';
