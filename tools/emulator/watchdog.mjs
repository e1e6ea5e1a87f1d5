// A thread of the board's process: it ends the process when npm start has gone. The program may keep the processor, so that nothing else can.
import { parentPort, workerData } from 'node:worker_threads';

/** How often it looks, and how long the board may take to end by itself, ms. */
const EVERY = 500;
const PATIENCE = 1000;

const { starter } = workerData;

function hasGone() {
  if (process.ppid !== starter) return true; // elsewhere than on Windows an orphan gets another parent
  try {
    return !process.kill(starter, 0);
  } catch (error) {
    return error.code === 'ESRCH';
  }
}

const timer = setInterval(() => {
  if (!hasGone()) return;
  clearInterval(timer);
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), PATIENCE);
}, EVERY);
parentPort.postMessage('watching');
