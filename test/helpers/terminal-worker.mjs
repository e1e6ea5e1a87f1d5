// Kaluma's side of a serial line: the terminal (REPL), YMODEM and the program area, as in Kaluma 1.2.1's src/repl.c, src/ymodem.c,
// src/prog.c and targets/rp2/src/tty.c. Synchronous throughout, as they are.
import { constants, openSync, readSync, writeSync } from 'node:fs';
import vm from 'node:vm';
import { parentPort, workerData } from 'node:worker_threads';
import { Board } from '../board/index.mjs';

const { path, files = {}, capacity = 512 * 1024, flashFailsAt = Infinity, silentAfter = Infinity, busy = false, says = '' } = workerData;

const history = [];
/** A rule that a real board would punish with corrupt memory. */
const broken = (message) => {
  throw new Error(`This would have hurt a real board: ${message}`);
};

// ------------------------------------------------------------------------------------------------------ tty.c

const ETX = 0x03;
const USB_PACKET = 64;
/** What comes while nobody looks stays with USB; what has been looked for waits here. */
const RING = 2048;

const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
const sleeper = new Int32Array(new SharedArrayBuffer(4));
const usb = Buffer.alloc(USB_PACKET);
/** @type {number[]} */
let ring = [];
let received = 0;
let receiving = false;
let vmStop = false;

const sleep = (ms) => Atomics.wait(sleeper, 0, 0, ms);

/** What USB has brought. */
function packet() {
  let count = 0;
  while (received >= silentAfter) sleep(1000);
  try {
    count = readSync(fd, usb);
  } catch (error) {
    if (error.code !== 'EAGAIN') throw error;
  }
  received += count;
  return usb.subarray(0, count);
}

/** How many bytes can be read. */
function available() {
  for (;;) {
    const bytes = packet();
    if (!bytes.length) return ring.length;
    if (bytes.includes(ETX) && !receiving) {
      vmStop = true; // Ctrl-C: it stops JavaScript, and what came with it is forgotten
      continue;
    }
    ring.push(...bytes);
    vmStop = false;
    if (ring.length >= RING) broken(`the terminal's buffer of ${RING} bytes overflows`);
  }
}

/** All of it, or nothing. */
function read(length) {
  return available() >= length ? ring.splice(0, length) : null;
}

function readSoon(length, timeout) {
  const until = Date.now() + timeout;
  while (available() < length && Date.now() < until) sleep(1);
  return read(length);
}

function write(data) {
  let bytes = Buffer.from(data);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(writeSync(fd, bytes));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
      sleep(1);
    }
  }
}

const print = (text) => write(Buffer.from(text, 'utf8'));

// ----------------------------------------------------------------------------------------------------- prog.c

const PAGE = 256;
const area = new Uint8Array(capacity).fill(0xFF);
let page = new Uint8Array(PAGE);
let inPage = 0;
let total = 0;

function flushPage() {
  area.set(page, Math.floor((total - 1) / PAGE) * PAGE);
  page = new Uint8Array(PAGE);
  inPage = 0;
}

function push(byte) {
  page[inPage++] = byte;
  total++;
  if (total >= Math.min(capacity, flashFailsAt)) return false;
  if (inPage === PAGE) flushPage();
  return true;
}

const program = {
  begin() {
    area.fill(0xFF);
    page = new Uint8Array(PAGE);
    inPage = total = 0;
  },
  write: (bytes) => bytes.every(push),
  end() {
    push(0);
    if (inPage > 0) flushPage();
  },
  /** As strlen() sees it, which goes on behind the area where there is no end. */
  get size() {
    const end = area.indexOf(0);
    return area[0] === 0xFF ? 0 : end < 0 ? capacity : end;
  },
};

// --------------------------------------------------------------------------------------------------- ymodem.c

const SOH = 0x01;
const STX = 0x02;
const EOT = 0x04;
const ACK = 0x06;
const NAK = 0x15;
const CAN = 0x18;
const C = 0x43;
const PACKET_TIME = 1000;
const MAX_ERRORS = 5;

function crc16(bytes) {
  let crc = 0;
  for (const byte of bytes) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1 ^ 0x1021) & 0xFFFF : crc << 1 & 0xFFFF;
  }
  return crc;
}

/** One packet: {number, data}, or what else came. */
function receivePacket() {
  const first = readSoon(1, PACKET_TIME)?.[0];
  if (first === EOT) return { end: true };
  if (first === CAN) return readSoon(1, PACKET_TIME)?.[0] === CAN ? { cancelled: true } : { bad: true };
  if (first === 0x41 || first === 0x61) return { aborted: true };
  if (first !== SOH && first !== STX) return { bad: true };
  const length = first === SOH ? 128 : 1024;
  const rest = readSoon(length + 4, PACKET_TIME);
  if (!rest || rest[0] !== (rest[1] ^ 0xFF)) return { bad: true };
  const data = rest.slice(2, -2);
  return crc16(data) === (rest.at(-2) << 8 | rest.at(-1)) ? { number: rest[0], data } : { bad: true };
}

/** Receives one file into the program area; says how it went. */
function receiveProgram() {
  let begun = false;
  let errors = 0;
  let left = 0;
  for (;;) { // files, the last one without a name
    let packets = 0;
    for (let done = false; !done;) {
      const packet = receivePacket();
      if (packet.aborted) {
        write([CAN, CAN]);
        return 'Aborted';
      }
      if (packet.bad) {
        if (begun) errors++;
        write(errors > MAX_ERRORS ? [CAN, CAN] : [C]);
        continue;
      }
      errors = 0;
      if (packet.cancelled) {
        write([ACK]);
        return 'Aborted';
      }
      if (packet.end) {
        write([ACK]);
        done = true;
      } else if (packet.number !== (packets & 0xFF)) {
        write([NAK]);
      } else {
        if (packets === 0 && packet.data[0] === 0) {
          write([ACK]);
          program.end();
          return 'Done';
        }
        if (packets === 0) {
          const [name, size] = Buffer.from(packet.data).toString('latin1').split(/[\0 ]/);
          history.push(`header ${name} ${size}`);
          program.begin();
          left = +size;
          write([ACK, C]);
        } else {
          const bytes = packet.data.slice(0, left);
          left -= bytes.length;
          if (!program.write(bytes)) {
            write([CAN, CAN]);
            return 'Verification failed';
          }
          write([ACK]);
        }
        packets++;
        begun = true;
      }
    }
  }
}

// ----------------------------------------------------------------------------------------------------- repl.c

const LINE = 1024;

const board = new Board({ files });
const stdin = {
  read(size = -1) {
    if (vmStop) throw 'Aborted';
    const there = available();
    if (there === 0) sleep(1); // the board spins
    return there === 0 || there < size ? null : Uint8Array.from(read(size < 0 ? there : size));
  },
};
const stdout = { write: (bytes) => write(bytes) };
const realm = vm.createContext({});
Object.assign(realm, board.global, { global: realm, globalThis: realm, process: { stdin, stdout }, print });

const GLOBALS = new Set(Object.keys(realm));

function evaluate(code) {
  history.push(code);
  try {
    print(`${pretty(vm.runInContext(`"use strict";${code}`, realm))}\r\n`);
  } catch (error) {
    vmStop = false;
    print(`\x1b[31m${error}\r\n\x1b[0m`);
  }
}

function pretty(value) {
  if (typeof value === 'number') return `\x1b[95m${value}\x1b[0m`;
  if (typeof value === 'string') return `\x1b[93m'${value}'\x1b[0m`;
  return `\x1b[90m${value}\x1b[0m`;
}

let echo = true;

function flash(option) {
  if (option === '-w') {
    print('Transfer a file via YMODEM... (press \'a\' to abort)\r\n');
    receiving = true;
    const how = receiveProgram();
    receiving = false;
    sleep(500);
    print(`\r\n${how}\r\n`);
    history.push(`flash ${how}`);
  } else if (option === '-s') {
    print(`${program.size}\r\n`);
  } else if (option === '-t') {
    print(`${capacity}\r\n`);
  } else {
    broken(`.flash ${option} is not modelled`);
  }
}

/** When the program that was loaded says what it has to say. */
let sayAt = Infinity;

function load() {
  history.push('load');
  sayAt = Date.now() + 1500;
}

function command(line) {
  const [name, option] = line.split(' ');
  if (name === '.echo') echo = option === 'on';
  else if (name === '.flash') flash(option);
  else if (name === '.load') load();
  else print(`\x1b[31mUnknown command: ${name}\r\n\x1b[0m`);
}

/** Where a terminal's cursor is set, and where the terminal is asked how wide it is. */
const PROMPT = '\r\x1b7> \x1b[H\x1b[900C\x1b[6n\x1b8\x1b[2C';

function report() {
  const files = Object.fromEntries([...board.fs.files].map(([name, { data }]) => [name, data]));
  const size = program.size;
  const globals = Object.keys(realm).filter((name) => !GLOBALS.has(name));
  parentPort.postMessage({ program: area.slice(0, size), files, history, echo, globals });
}

let typed = [];

function type(byte) {
  if (byte === 0x0D) {
    if (echo) print('\r\n');
    const line = Buffer.from(typed).toString('utf8');
    typed = [];
    if (line.startsWith('.')) command(line);
    else if (line) evaluate(line);
    report();
    print(`\x1b[0m${echo ? PROMPT : ''}`);
  } else if (typed.length < LINE - 1) {
    typed.push(byte);
    if (echo) write([byte]);
  } else {
    print('\x1b[31mREPL buffer overflow\r\n\x1b[0m');
  }
}

report();
// A program that does not come to its end: nobody looks at what is typed until it is stopped.
while (busy && !packet().includes(ETX)) sleep(1);
for (;;) {
  const bytes = read(available());
  if (!bytes.length) sleep(1);
  bytes.forEach(type);
  if (Date.now() >= sayAt) {
    print(says);
    sayAt = Infinity;
  }
}
