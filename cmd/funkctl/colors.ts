/** Colour on a terminal; never with `NO_COLOR` or `TERM=dumb`, always with `FORCE_COLOR`. The library also takes CI for a terminal. */
import pc from 'picocolors';

type Colors = ReturnType<typeof pc.createColors>;

function isColored(env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  if ((env['FORCE_COLOR'] ?? '') !== '') return env['FORCE_COLOR'] !== '0';
  return isTerminal && env['TERM'] !== 'dumb';
}

export const colors: Colors = pc.createColors(isColored(process.env, process.stdout.isTTY === true));
