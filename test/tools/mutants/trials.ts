/** Has mutants tried in a copy of the built code, by a process that is ended when it stands still and followed by another. */
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { copyBuilt } from '../../sim/planting.ts';
import { ROOT } from '../source-tree.ts';
import type { MutantList } from './mutant-list.ts';
import type { Net } from './nets.ts';

export interface Seeds {
  readonly core: number;
  readonly nodes: number;
}

export interface Verdict {
  readonly isKilled: boolean;
  /** Of a killed one `steps`, `neighbours`, `core` or `nodes`. */
  readonly layer: string;
  /** The test or seed. */
  readonly by: string;
  readonly why: string;
}

/** The copied tests report to us instead of to the runner. */
const RUNNER = "from 'node:test'";
const HEAP_MB = 600;
/** What takes so many times longer than anything does without a mutant stands still. */
const PATIENCE = 6;
const PATIENCE_LEAST_MS = 4_000;
const PATIENCE_FIRST_MS = 120_000;

export class Trials {
  readonly #net: Net;
  readonly #seeds: Seeds;
  readonly #folder: string;
  #patienceMs = PATIENCE_FIRST_MS;
  #child: ChildProcess | undefined;

  constructor(net: Net, { switched }: MutantList, seeds: Seeds) {
    this.#net = net;
    this.#seeds = seeds;
    this.#folder = copyBuilt(['src', ...net.folders]);
    for (const [file, text] of switched) writeFileSync(join(this.#folder, file), text);
    for (const path of testFiles(join(this.#folder, 'test'))) {
      const depth = path.slice(this.#folder.length + 1).split('/').length - 1;
      const collector = `${'../'.repeat(depth)}test/tools/mutants/collected-tests.js`;
      writeFileSync(path, readFileSync(path, 'utf8').replace(RUNNER, `from '${collector}'`));
    }
  }

  /** In that order; `tell` hears each verdict as it falls. */
  async run(numbers: readonly number[], tell: (number: number, verdict: Verdict) => void): Promise<void> {
    let rest = numbers;
    let spoilt: number | undefined;
    while (rest.length > 0) {
      const before = rest.length;
      const end = await this.#runSome(rest, (number, verdict) => {
        rest = rest.slice(1);
        tell(number, verdict);
      });
      if (end === 'spoilt' && spoilt === rest[0]) throw new Error(`mutant ${spoilt}: a test fails without it as well`);
      spoilt = end === 'spoilt' ? rest[0] : undefined;
      if (end !== 'spoilt' && rest.length === before) throw new Error('no mutant was tried');
    }
  }

  stop(): void {
    this.#child?.kill('SIGKILL');
  }

  async #runSome(
    mutants: readonly number[],
    tell: (number: number, verdict: Verdict) => void,
  ): Promise<'ended' | 'spoilt'> {
    const order = join(this.#folder, 'order.json');
    const { core: coreSeeds, nodes: nodeSeeds } = this.#seeds;
    const notes = join(this.#folder, 'notes.json');
    writeFileSync(order, JSON.stringify({ net: this.#net, coreSeeds, nodeSeeds, mutants, notes }));
    const program = join(this.#folder, 'test/tools/mutants/trial.js');
    const args = [`--max-old-space-size=${HEAP_MB}`, program, order];
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => {
      complaint = (complaint + text.toString()).slice(-2_000);
    });
    let [open, layer, by] = [undefined as number | undefined, '', ''];
    let [longestMs, saidAt, isSpoilt] = [0, performance.now(), false];
    let why = 'the process ended';
    const onSilence = (): void => {
      why = 'it stands still';
      child.kill('SIGKILL');
    };
    let silence = setTimeout(onSilence, PATIENCE_FIRST_MS);
    for await (const line of createInterface({ input: child.stdout })) {
      const [what = '', ...words] = line.split('\t');
      longestMs = Math.max(longestMs, performance.now() - saidAt);
      saidAt = performance.now();
      if (what === 'mutant') open = Number(words[0]);
      else if (what === 'begun') [layer = '', by = ''] = words;
      else if (what === 'rehearsed') this.#patienceMs = Math.max(PATIENCE_LEAST_MS, PATIENCE * longestMs);
      else if (what === 'spoilt') isSpoilt = true;
      else if (open !== undefined) {
        const isKilled = what === 'killed';
        const [first = '', test = '', message = ''] = words;
        tell(open, isKilled ? { isKilled, layer: first, by: test, why: message } : { isKilled, layer, by, why: first });
        open = undefined;
      }
      if (isSpoilt) child.kill('SIGKILL');
      clearTimeout(silence);
      silence = setTimeout(onSilence, open === undefined ? PATIENCE_FIRST_MS : this.#patienceMs);
    }
    clearTimeout(silence);
    if (isSpoilt) return 'spoilt';
    if (open !== undefined) tell(open, { isKilled: true, layer, by, why });
    else if (complaint !== '') throw new Error(complaint);
    return 'ended';
  }
}

function testFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(folder, name));
}
