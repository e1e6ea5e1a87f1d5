// Puts files into the board's file system: npm run put -- FILE... [options]
import { readFileSync, statSync } from 'node:fs';
import { basename, posix } from 'node:path';
import { findCli, findPort, withTerminal } from './kaluma.mjs';
import { parseOptions, runTool, UserError } from '../build/program.mjs';

const HELP = `Usage: npm run put -- FILE... [--to /www/] [--port PORT]

  FILE     files of this computer
  --to     where they go on the board: a folder, with "/" at its end, or, for one file, its path there. Default: /www/
  --port   the board's serial port, such as /dev/ttyACM0 or COM3. Default: the one board that is connected
  --help   this text

What is there of the same name is replaced, and folders are made. It needs the Kaluma CLI, for its serial port:
npm install --global @kaluma/cli`;

/** Bytes a line, two characters each: the board remembers the last ten lines in a memory of some 20 KB that its connections need, too. */
const LINE = 128;
/** On the board: writes the bytes that a text stands for. Not atob(), whose result 1.3.0-beta takes out of that memory and never gives back. */
const WRITE = 'put$.w=function(s){for(var b=new Uint8Array(s.length/2),i=0;i<b.length;i++)b[i]=parseInt(s.substr(2*i,2),16);'
  + 'return put$.f.write(put$.d,b)}';

function readArguments() {
  const options = {
    to: { type: /** @type {const} */ ('string'), default: '/www/' },
    port: { type: /** @type {const} */ ('string') },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  const { values, positionals: files } = parseOptions(options, 'npm run put --');
  if (values.help) return values;
  const { to } = values;
  if (files.length === 0) throw new UserError('Which file? npm run put -- FILE...');
  for (const file of files) {
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw new UserError(`There is no file ${file}`);
  }
  if (!to.startsWith('/')) throw new UserError(`--to must begin with "/", not ${to}`);
  if (files.length > 1 && !to.endsWith('/')) throw new UserError(`--to must end with "/" for more than one file: ${to}/`);
  return { ...values, files };
}

/**
 * Writes a file. Not with the CLI's `put`: that sends the bytes as they are, and the board takes byte 3 for Ctrl-C, forgets what came
 * with it and waits for ever, so pictures and compressed files do not arrive; nor does it make folders. Hexadecimal digits have no byte 3.
 */
async function put(terminal, file, path) {
  const bytes = readFileSync(file);
  const folders = path.split('/').slice(1, -1).map((_, i, names) => `/${names.slice(0, i + 1).join('/')}`);
  for (const folder of folders) {
    await terminal.evaluate(`require('fs').exists(${JSON.stringify(folder)})?0:(require('fs').mkdir(${JSON.stringify(folder)}),1)`);
  }
  // Beside the file as long as it is not whole: what is served now stays whole.
  const part = JSON.stringify(`${path}.part`);
  try {
    await write(terminal, bytes, part);
  } catch (error) {
    await terminal.evaluate(`put$.f.close(put$.d),put$.f.unlink(${part}),0`).catch(() => {});
    throw error;
  }
  await terminal.evaluate(`put$.f.rename(${part},${JSON.stringify(path)}),delete global.put$,0`);
  console.log(`${path}: ${bytes.length} bytes`);
}

/** @param {string} part the path in quotes */
async function write(terminal, bytes, part) {
  await terminal.evaluate(`global.put$={f:require('fs')};${WRITE};put$.d=put$.f.open(${part},'w')`);
  for (let at = 0; at < bytes.length; at += LINE) {
    await terminal.evaluate(`put$.w('${bytes.toString('hex', at, Math.min(at + LINE, bytes.length))}')`);
  }
  const size = await terminal.evaluate(`put$.f.close(put$.d),put$.f.stat(${part}).size`);
  if (size !== bytes.length) throw new Error(`the board has ${size} of ${bytes.length} bytes`);
}

async function putAll({ files, to, port: asked }) {
  const cli = findCli();
  const port = asked ?? await findPort(cli);
  await withTerminal(cli, port, async (terminal) => {
    await terminal.greet();
    await terminal.ask('.echo off', /\x1b\[0m/);
    try {
      for (const file of files) {
        const path = to.endsWith('/') ? to + basename(file) : to;
        await put(terminal, file, posix.normalize(path)).catch((error) => {
          throw error instanceof UserError ? error : new UserError(`${file} is not on the board: ${error.message}`);
        });
      }
    } finally {
      await terminal.ask('.echo on', /> /).catch(() => {});
    }
  });
}

await runTool(async () => {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else await putAll(options);
});
