// Puts a program on the board that is connected: npm run flash -- [example] [options]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, parse } from 'node:path';
import { buildProgram } from '../build/build.mjs';
import { findCli, findPort, flashWithCli, withTerminal } from './kaluma.mjs';
import { reportMissing } from '../build/language.mjs';
import { bundle, EXAMPLES, findSource, parseOptions, runTool, UserError } from '../build/program.mjs';
import { buildSmallest } from '../build/shake.mjs';

const HELP = `Usage: npm run flash -- [example] [--port PORT] [--follow]

  example    one of: ${EXAMPLES}; or the path of your own program. Default: hello
  --port     the board's serial port, such as /dev/ttyACM0 or COM3. Default: the one board that is connected
  --follow   afterwards, print what the program prints, such as its address; Ctrl-C ends it
  --help     this text

It makes one file of the program and the library, has the Kaluma CLI write it to the board and
start it there, and asks the board whether it has every byte. The CLI has to be installed once:
npm install --global @kaluma/cli`;

function readArguments() {
  const options = {
    port: { type: /** @type {const} */ ('string') },
    follow: { type: /** @type {const} */ ('boolean'), default: false },
    help: { type: /** @type {const} */ ('boolean'), short: 'h', default: false },
  };
  const { values, positionals: [example = 'hello', ...more] } = parseOptions(options, 'npm run flash --');
  if (more.length > 0) throw new UserError(`One example at a time, please, not also: ${more.join(' ')}`);
  return { ...values, example };
}

async function flash({ example, port: asked, follow }) {
  const source = findSource(example);
  const { name } = parse(source);
  const cli = findCli();
  const port = asked ?? await findPort(cli);
  reportMissing(await bundle(source, buildProgram)); // which says what is wrong with it
  const program = await bundle(source, buildSmallest);
  const code = Buffer.from(program.code);
  const room = await withTerminal(cli, port, (terminal) => terminal.greet());
  // One byte more marks the end.
  if (code.length >= room) throw new UserError(`${name} has ${code.length} bytes, but the board has room for ${room - 1}`);

  if (program.bytes < program.wholeBytes) console.log(`${name} with ${program.contains}: ${program.bytes} bytes; with all of it: ${program.wholeBytes}`);
  console.log(`Sending ${name}, ${code.length} bytes, to the board at ${port} ...`);
  const folder = mkdtempSync(join(tmpdir(), 'ehttpserver-'));
  try {
    const file = join(folder, `${name}.js`);
    writeFileSync(file, code);
    await flashWithCli(cli, file, port);
  } finally {
    rmSync(folder, { recursive: true });
  }

  await withTerminal(cli, port, async (terminal) => {
    if (follow) terminal.onText = (data) => process.stdout.write(data);
    const size = await terminal.programSize();
    if (size !== code.length) {
      throw new UserError(`The board did not take the program: it has ${size} bytes, not ${code.length}. Unplug it, plug it in, and try again`);
    }
    console.log(`The board has all ${size} bytes, and runs ${name}.`);
    if (follow) await new Promise((resolve) => { for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve); });
  });
}

await runTool(async () => {
  const options = readArguments();
  if (options.help) console.log(HELP);
  else await flash(options);
});
