/**
 * Gossip beside the real thing: funknode (`non-member`: gossip only) and Serf's agent, LAN defaults both, by turns in one run on one
 * loopback; what counts is the ratio. `node dist/bench/gossip.js --nodes 10 --rounds 2`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GOSSIP_PORTS, Gossiper, type Side } from './lib/gossiper.ts';
import { inOwnNetwork, isOwnNetwork, loopbackTraffic, loseShare } from './lib/own-network.ts';
import { endAll } from './lib/program.ts';
import { load, print, printHead, printSpread, spreadOf } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const FORM_MS = 60_000;
const FAIL_MS = 60_000;
const QUIET_MS = 5_000;
const HOUR_MS = 3_600_000;
/** Between a return and the next death: faults fall anywhere between two probes. */
const JITTER_MS = 1_000;
const PAUSE_MS = 3_000;
/** Whoever took the paused one for dead has said so by then: suspicions of ten members last 4 s. */
const AFTER_PAUSE_MS = 8_000;
const LOSSES = [10, 25] as const;

const words = wordsOf({
  nodes: { fallback: 10, least: 3, most: 50 },
  rounds: { fallback: 2, least: 1, most: 50 },
  kills: { fallback: 3, least: 1, most: 100 },
  seconds: { fallback: 20, least: 5, most: 600 },
  pauses: { fallback: 3, least: 0, most: 100 },
  lossSeconds: { fallback: 60, least: 0, most: 3_600 },
});

const FIGURES = {
  joined: 'last started -> all see all (ms)',
  spread: 'newcomer: first other sees it -> last other (ms)',
  first: 'SIGKILL -> first other notices (ms)',
  all: 'SIGKILL -> all others notice (ms)',
  cpu: 'idle: CPU of a member (% of one core)',
  rss: 'idle: RSS of a member (MiB)',
  bytes: 'idle: sent per member (bytes/s)',
  packets: 'idle: sent per member (packets/s)',
  paused: 'false alarms per member paused for 3 s',
  loss10: 'false alarms per member-hour at 10 % loss',
  loss25: 'false alarms per member-hour at 25 % loss',
} as const;
type Figure = keyof typeof FIGURES;

class Round {
  readonly #side: Side;
  readonly #note: (figure: Figure, value: number) => void;
  readonly #cluster: string;
  readonly #waiting: Set<() => void> = new Set();
  #members: Gossiper[] = [];
  falseAlarms = 0;

  constructor(side: Side, round: number, note: (figure: Figure, value: number) => void) {
    this.#side = side;
    this.#note = note;
    this.#cluster = `gossip-${process.pid}-${round}`;
  }

  async run(): Promise<void> {
    await this.#form();
    await this.#join();
    await sleep(QUIET_MS);
    await this.#idle();
    for (let kill = 0; kill < words.kills; kill++) await this.#kill(1 + (kill % (words.nodes - 1)));
    for (let pause = 0; pause < words.pauses; pause++) await this.#pause(1 + (pause % (words.nodes - 1)));
    if (!isOwnNetwork || words.lossSeconds === 0) return;
    for (const percent of LOSSES) await this.#lose(percent);
  }

  async #form(): Promise<void> {
    this.#members = [this.#start(1)];
    await this.#when('the first has started', FORM_MS, () => this.#members[0]?.alive === 1);
    for (let number = 2; number < words.nodes; number++) this.#members.push(this.#start(number));
    await this.#when('all but the last see each other', FORM_MS, () => this.#seeEachOther());
    await sleep(QUIET_MS);
  }

  async #join(): Promise<void> {
    const others = [...this.#members];
    const newcomer = this.#start(words.nodes);
    const { startedAt } = newcomer.program;
    this.#members.push(newcomer);
    await this.#when('all see all', FORM_MS, () => this.#seeEachOther());
    const seenAt = others.map((other) => other.saw('joined', newcomer.name, startedAt) ?? Number.NaN);
    this.#note('joined', Math.max(...seenAt, newcomer.lastSight()) - startedAt);
    this.#note('spread', Math.max(...seenAt) - Math.min(...seenAt));
  }

  async #idle(): Promise<void> {
    const uses = this.#members.map((member) => member.program.use());
    const traffic = loopbackTraffic();
    const from = performance.now();
    await sleep(words.seconds * 1_000);
    const now = loopbackTraffic();
    const ms = performance.now() - from;
    const { length } = this.#members;
    for (const [index, member] of this.#members.entries()) {
      const { cpuMs, rssMiB } = member.program.use();
      this.#note('cpu', ((cpuMs - (uses[index]?.cpuMs ?? Number.NaN)) / ms) * 100);
      this.#note('rss', rssMiB);
      this.falseAlarms += member.failures(0);
    }
    if (!isOwnNetwork) return;
    this.#note('bytes', ((now.bytes - traffic.bytes) / ms / length) * 1_000);
    this.#note('packets', ((now.packets - traffic.packets) / ms / length) * 1_000);
  }

  async #kill(index: number): Promise<void> {
    const victim = this.#members[index] as Gossiper;
    const others = this.#members.filter((member) => member !== victim);
    const killedAt = performance.now();
    victim.program.signal('SIGKILL');
    const noticed = (): number[] =>
      others.map((other) => other.saw('failed', victim.name, killedAt)).filter((at) => at !== undefined);
    await this.#when(`all notice the death of ${victim.name}`, FAIL_MS, () => noticed().length === others.length);
    this.#note('first', Math.min(...noticed()) - killedAt);
    this.#note('all', Math.max(...noticed()) - killedAt);
    await victim.program.ended;
    this.#members[index] = this.#start(index + 1);
    await this.#when(`${victim.name} is back`, FORM_MS, () => this.#seeEachOther());
    await sleep(QUIET_MS + Math.random() * JITTER_MS);
  }

  /** One member stands still; who fails in anybody's eyes, it or another, is a false alarm. */
  async #pause(index: number): Promise<void> {
    const from = performance.now();
    const { program } = this.#members[index] as Gossiper;
    program.signal('SIGSTOP');
    await sleep(PAUSE_MS);
    program.signal('SIGCONT');
    await sleep(AFTER_PAUSE_MS + Math.random() * JITTER_MS);
    this.#note('paused', this.#failuresSince(from));
    await this.#when('all see all after a pause', FORM_MS, () => this.#seeEachOther());
  }

  async #lose(percent: (typeof LOSSES)[number]): Promise<void> {
    const from = performance.now();
    loseShare(percent, GOSSIP_PORTS);
    await sleep(words.lossSeconds * 1_000);
    loseShare(0, GOSSIP_PORTS);
    const memberHours = ((performance.now() - from) * this.#members.length) / HOUR_MS;
    this.#note(`loss${percent}`, this.#failuresSince(from) / memberHours);
    await this.#when('all see all after loss', FORM_MS, () => this.#seeEachOther());
  }

  #failuresSince(from: number): number {
    return this.#members.reduce((sum, member) => sum + member.failures(from), 0);
  }

  #start(number: number): Gossiper {
    return new Gossiper(this.#side, number, this.#cluster, () => {
      for (const look of this.#waiting) look();
    });
  }

  #seeEachOther(): boolean {
    return this.#members.every((member) => member.alive === this.#members.length);
  }

  async #when(what: string, ms: number, holds: () => boolean): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (): void => {
        if (!holds()) return;
        end();
        resolve();
      };
      const timer = setTimeout(() => {
        end();
        const seen = this.#members.map((member) => `${member.name} sees ${member.alive}`).join(', ');
        reject(new Error(`${this.#side}: not within ${ms} ms: ${what} (${seen})`));
      }, ms);
      this.#waiting.add(look);
      look();
    });
  }
}

await inOwnNetwork(async () => {
  printHead(
    `gossip: ${words.nodes} members, ${words.rounds} rounds by turns, ${words.kills} kills and ${words.seconds} s each`,
  );
  const values = new Map<string, number[]>();
  const of = (side: Side, figure: Figure): number[] => values.get(`${side} ${figure}`) ?? [];
  let falseAlarms = { funknode: 0, serf: 0 };
  for (let round = 0; round < words.rounds; round++) {
    const sides: readonly Side[] = round % 2 === 0 ? ['funknode', 'serf'] : ['serf', 'funknode'];
    for (const side of sides) {
      const one = new Round(side, round, (figure, value) =>
        values.set(`${side} ${figure}`, [...of(side, figure), value]),
      );
      await one.run();
      falseAlarms = { ...falseAlarms, [side]: falseAlarms[side] + one.falseAlarms };
      await endAll();
    }
  }
  for (const [figure, name] of Object.entries(FIGURES) as [Figure, string][]) {
    const ours = of('funknode', figure);
    const theirs = of('serf', figure);
    const digits = figure === 'cpu' || figure === 'packets' ? 2 : 0;
    printSpread(`funknode  ${name}`, ours, '', digits);
    printSpread(`serf      ${name}`, theirs, '', digits);
    const [a, b] = [spreadOf(ours).median, spreadOf(theirs).median];
    print(`          ratio of medians ${b === 0 ? `${a} to 0` : (a / b).toFixed(3)}`);
  }
  print(`false alarms while all lived: funknode ${falseAlarms.funknode}, serf ${falseAlarms.serf}`);
  print(`# load at the end ${load()}`);
});
