/**
 * A small network of namespaces: one for each node, all on a bridge in a namespace of its own, where the test runs too. Ports of the
 * bridge move to a second one and back, so that the network splits and heals while the test reaches everybody.
 */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { skipWithout } from '../peers/peer.ts';

export const MIDDLE = '10.91.0.254';
const MIDDLE_MAC = '02:00:0a:5b:00:fe';

/** Why there can be no rooms here; false when there can. */
export function skipWithoutRooms(): string | false {
  const missing = skipWithout('ip');
  if (missing !== false) return missing;
  return process.getuid?.() === 0 ? false : 'only root makes network namespaces';
}

/** The namespaces, from outside. */
export class Rooms implements Disposable {
  readonly #prefix: string = `funk${process.pid}`;
  readonly #names: string[] = [];

  /** Rooms for so many nodes; what a half-made network left behind is removed when it fails. */
  constructor(count: number) {
    sweep();
    try {
      const middle = this.#add('m');
      ip('netns', 'exec', middle, 'sh', '-c', 'echo 0 >/proc/sys/net/ipv4/ip_forward');
      ip('-n', middle, 'link', 'set', 'lo', 'up');
      for (const bridge of ['left', 'right']) {
        // With snooping and without a querier, multicast would cease after some minutes.
        ip('-n', middle, 'link', 'add', bridge, 'type', 'bridge', 'mcast_snooping', '0');
        // Else it is that of some port, and changes with the ports; then the nodes would lose sight of the test for a while.
        ip('-n', middle, 'link', 'set', bridge, 'address', MIDDLE_MAC);
        ip('-n', middle, 'link', 'set', bridge, 'up');
      }
      ip('-n', middle, 'address', 'add', `${MIDDLE}/24`, 'dev', 'left');
      for (let at = 1; at <= count; at++) {
        const room = this.#add(String(at));
        ip('-n', middle, 'link', 'add', portOf(at), 'type', 'veth', 'peer', 'name', 'eth0', 'netns', room);
        ip('-n', middle, 'link', 'set', portOf(at), 'master', 'left', 'up');
        ip('-n', room, 'address', 'add', `${addressOf(at)}/24`, 'dev', 'eth0');
        ip('-n', room, 'link', 'set', 'lo', 'up');
        ip('-n', room, 'link', 'set', 'eth0', 'up');
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Where the test belongs. */
  get middle(): string {
    return this.#names[0] as string;
  }

  /** What {@link roomOf} needs inside. */
  get prefix(): string {
    return this.#prefix;
  }

  /** Ends whatever still runs in the rooms, and removes them. */
  [Symbol.dispose](): void {
    for (const name of this.#names.splice(0).reverse()) {
      for (const pid of ip('netns', 'pids', name).split('\n').filter(Boolean)) kill(Number(pid));
      ip('netns', 'delete', name);
    }
  }

  #add(suffix: string): string {
    const name = roomOf(this.#prefix, suffix);
    ip('netns', 'add', name);
    this.#names.push(name);
    return name;
  }
}

export function roomOf(prefix: string, at: number | string): string {
  return `${prefix}-${at}`;
}

export function addressOf(at: number): string {
  return `10.91.0.${at}`;
}

/** Called in the middle: these ports go to a side of their own. We still reach them, they reach nobody else. */
export function split(minority: readonly number[]): void {
  for (const at of minority) ip('link', 'set', portOf(at), 'master', 'right');
  for (const at of minority) ip('route', 'replace', `${addressOf(at)}/32`, 'dev', 'right', 'src', MIDDLE);
}

export function heal(minority: readonly number[]): void {
  for (const at of minority) ip('link', 'set', portOf(at), 'master', 'left');
  for (const at of minority) ip('route', 'delete', `${addressOf(at)}/32`, 'dev', 'right');
}

/** Drops what this room sends to the others (`output`), or what it gets from them (`input`). Once for each room at a time; until {@link reconnect}. */
export function cutOff(cut: {
  readonly prefix: string;
  readonly at: number;
  readonly hook: 'input' | 'output';
  readonly others: readonly number[];
}): void {
  const field = cut.hook === 'input' ? 'saddr' : 'daddr';
  const addresses = cut.others.map(addressOf).join(', ');
  const input = `table ip cut { chain c { type filter hook ${cut.hook} priority 0; ip ${field} { ${addresses} } drop; }; }`;
  execFileSync('ip', ['netns', 'exec', roomOf(cut.prefix, cut.at), 'nft', '-f', '-'], { input });
}

export function reconnect(prefix: string, at: number): void {
  execFileSync('ip', ['netns', 'exec', roomOf(prefix, at), 'nft', 'delete', 'table', 'ip', 'cut']);
}

/** Removes what a test left behind that was killed before it could: its rooms bear the number of a process that is no more. */
function sweep(): void {
  for (const [name, pid] of ip('netns', 'list').matchAll(/^funk(\d+)-\w+/gm))
    if (!existsSync(`/proc/${pid}`)) ip('netns', 'delete', name);
}

function portOf(at: number): string {
  return `port${at}`;
}

function ip(...args: readonly string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8' });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    // It ended by itself meanwhile.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
