/**
 * Runs one of our programs again and again in this process, which has loaded it once: each run evaluates its main module anew. Argument: the path of that
 * module. Each message is a run, `{ args, env }`; each answer is its end.
 */
import { pathToFileURL } from 'node:url';
import type { Ended, Run } from '../tools/hosted-program.ts';

const main: string = pathToFileURL(process.argv[2] ?? '').href;
const inherited: NodeJS.ProcessEnv = { ...process.env };
const printed = { out: '', err: '' };
let runs = 0;
let exit: (code: number) => void = () => undefined;

type Written = (bytes: string | Uint8Array, ...more: readonly unknown[]) => boolean;

function caught(into: 'out' | 'err'): Written {
  return (bytes, ...more) => {
    printed[into] += typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString();
    const whenDone = more.find((each) => typeof each === 'function');
    (whenDone as (() => void) | undefined)?.();
    return true;
  };
}

process.stdout.write = caught('out') as typeof process.stdout.write;
process.stderr.write = caught('err') as typeof process.stderr.write;
// Every run listens to them.
for (const stream of [process.stdout, process.stderr]) stream.setMaxListeners(0);
process.exit = ((code?: number) => exit(code ?? Number(process.exitCode ?? 0))) as typeof process.exit;

process.on('message', ({ args, env }: Run) => {
  runs += 1;
  Object.assign(printed, { out: '', err: '' });
  process.argv = [process.argv[0] ?? '', process.argv[1] ?? '', ...args];
  process.env = { ...inherited, ...env };
  process.exitCode = undefined;
  exit = (code) => {
    exit = () => undefined;
    process.exitCode = undefined;
    process.send?.({ code, ...printed } satisfies Ended);
  };
  void import(`${main}?run=${runs}`);
});
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
