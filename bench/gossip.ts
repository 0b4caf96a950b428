/**
 * Gossip beside the real thing: funknode (`non-member`: gossip only) and Serf's agent, LAN defaults both, by turns in one run on one
 * loopback; what counts is the ratio. `node dist/bench/gossip.js --nodes 10 --rounds 2`
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { GOSSIP_PORTS, Gossiper, type Side } from './lib/gossiper.ts';
import { inOwnNetwork, isOwnNetwork, loopbackTraffic, loseShare } from './lib/own-network.ts';
import { AgentRpc, type Fields } from './lib/agent-rpc.ts';
import { endAll } from './lib/program.ts';
import { load, print, printHead, printSpread, spreadOf } from './lib/report.ts';
import { wordsOf } from './lib/words.ts';

const FAIL_MS = 60_000;
const QUIET_MS = 5_000;
const HOUR_MS = 3_600_000;
/** Between a return and the next death: faults fall anywhere between two probes. */
const JITTER_MS = 1_000;
const PAUSE_MS = 3_000;
/** Whoever took the paused one for dead has said so by then: suspicions of ten members last 4 s. */
const AFTER_PAUSE_MS = 8_000;
const TALK_MS = 15_000;
const QUERY_MS = 1_500;
const LOSSES = [10, 25] as const;

const words = wordsOf({
  nodes: { fallback: 10, least: 3, most: 50 },
  rounds: { fallback: 2, least: 1, most: 50 },
  kills: { fallback: 3, least: 1, most: 100 },
  seconds: { fallback: 20, least: 5, most: 600 },
  events: { fallback: 20, least: 0, most: 1_000 },
  pauses: { fallback: 3, least: 0, most: 100 },
  lossSeconds: { fallback: 60, least: 0, most: 3_600 },
});

/** A Node process takes a second of processor time to start. */
const FORM_MS = Math.max(60_000, 4_000 * words.nodes);

const FIGURES = {
  joined: 'last started -> all see all (ms)',
  spread: 'newcomer: first other sees it -> last other (ms)',
  first: 'SIGKILL -> first other notices (ms)',
  all: 'SIGKILL -> all others notice (ms)',
  cpu: 'idle: CPU of a member (% of one core)',
  rss: 'idle: RSS of a member (MiB)',
  bytes: 'idle: sent per member (bytes/s)',
  packets: 'idle: sent per member (packets/s)',
  eventFirst: 'user event: sent -> first other member (ms)',
  eventAll: 'user event: sent -> all members (ms)',
  queryFirst: 'query: sent -> first ack of another member (ms)',
  queryAll: 'query: sent -> acks of all members (ms)',
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
  queriesIncomplete = 0;

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
    if (words.events > 0) await this.#talk();
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

  /** User events and queries, each sent by the next member. */
  async #talk(): Promise<void> {
    const agents = await Promise.all(this.#members.map((member) => AgentRpc.to(member.rpcPort)));
    let onEvent: (index: number, name: string, at: number) => void = () => undefined;
    await Promise.all(
      agents.map((agent, index) =>
        agent.call('stream', { Type: 'user' }, (record, at) => onEvent(index, String(record['Name']), at)),
      ),
    );
    for (let number = 0; number < words.events; number++) {
      const from = number % agents.length;
      const name = `event-${number}`;
      const heard = new Map<number, number>();
      const isHeard = new Promise<void>((resolve) => {
        onEvent = (index, heardName, at) => {
          if (heardName === name && !heard.has(index)) heard.set(index, at);
          if (heard.size === agents.length) resolve();
        };
      });
      const sentAt = performance.now();
      await agents[from]?.call('event', { Name: name, Payload: 'x'.repeat(32), Coalesce: false });
      await within(isHeard, TALK_MS, `${this.#side}: ${name} to be heard by all`);
      const others = [...heard].filter(([index]) => index !== from).map(([, at]) => at - sentAt);
      this.#note('eventFirst', Math.min(...others));
      this.#note('eventAll', Math.max(...others));
    }
    for (let number = 0; number < words.events; number++) await this.#query(agents, number);
    for (const agent of agents) agent.close();
  }

  async #query(agents: readonly AgentRpc[], number: number): Promise<void> {
    const from = this.#members[number % agents.length] as Gossiper;
    const acks = new Map<string, number>();
    const sentAt = performance.now();
    const isDone = new Promise<void>((resolve) => {
      const body = {
        Name: `query-${number}`,
        Payload: 'x',
        RequestAck: true,
        Timeout: QUERY_MS * 1e6,
        FilterNodes: [],
      };
      const onRecord = (record: Fields, at: number): void => {
        if (record['Type'] === 'ack') acks.set(String(record['From']), at);
        if (record['Type'] === 'done') resolve();
      };
      void agents[number % agents.length]?.call('query', { ...body, FilterTags: {} }, onRecord);
    });
    await within(isDone, TALK_MS, `${this.#side}: the end of a query`);
    const others = [...acks].filter(([name]) => name !== from.name).map(([, at]) => at - sentAt);
    if (others.length > 0) this.#note('queryFirst', Math.min(...others));
    if (others.length === agents.length - 1) this.#note('queryAll', Math.max(...others));
    else this.queriesIncomplete += 1;
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

async function within(promise: Promise<void>, ms: number, what: string): Promise<void> {
  const late = sleep(ms, 'late', { ref: false });
  if ((await Promise.race([promise, late])) === 'late') throw new Error(`not within ${ms} ms: ${what}`);
}

await inOwnNetwork(async () => {
  printHead(
    `gossip: ${words.nodes} members, ${words.rounds} rounds by turns, ${words.kills} kills and ${words.seconds} s each`,
  );
  const values = new Map<string, number[]>();
  const of = (side: Side, figure: Figure): number[] => values.get(`${side} ${figure}`) ?? [];
  let falseAlarms = { funknode: 0, serf: 0 };
  let incomplete = { funknode: 0, serf: 0 };
  for (let round = 0; round < words.rounds; round++) {
    const sides: readonly Side[] = round % 2 === 0 ? ['funknode', 'serf'] : ['serf', 'funknode'];
    for (const side of sides) {
      const one = new Round(side, round, (figure, value) =>
        values.set(`${side} ${figure}`, [...of(side, figure), value]),
      );
      await one.run();
      falseAlarms = { ...falseAlarms, [side]: falseAlarms[side] + one.falseAlarms };
      incomplete = { ...incomplete, [side]: incomplete[side] + one.queriesIncomplete };
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
  print(`queries that not all acknowledged: funknode ${incomplete.funknode}, serf ${incomplete.serf}`);
  print(`# load at the end ${load()}`);
});
