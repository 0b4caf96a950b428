/** Tells on stderr what happens to the node: a line per change of state, leader, members or map, and what it waits for. */
import { formatEndpoint } from '../../src/model/endpoint.ts';
import type { NodeEvent } from '../../src/model/node-event.ts';
import type { NodeView, Waiting } from '../../src/model/node-view.ts';
import type { ShardMap } from '../../src/model/shard-map.ts';
import type { StorageRoom } from '../../src/model/storage-room.ts';
import type { LogLevel } from '../../src/ports/logger.ts';
import { detailOf } from './details.ts';
import type { Log } from './logging.ts';

/** What the narrator reads; any node handle is one. */
export interface Narrated {
  view(): NodeView;
  now(): number;
  subscribe(listener: (event: NodeEvent) => void): () => void;
}

interface Line {
  readonly level: LogLevel;
  readonly text: string;
}

/** How often a wait is told again. */
const WAIT_EVERY_MS = 10_000;
const LOOK_EVERY_MS = 500;
/** A wait begins at most some seconds after what caused it; then an idle node is not woken to be looked at. */
const LOOKS_AFTER_EVENT = 20;
const LEADER_PATIENCE_MS = 1_000;
const HELD_MAX = 256;
/** The same trouble is told at most so often, with how often it came. */
const DROPPED_EVERY_MS = 10_000;
/** Owners named in a line about the map; of a large cluster the rest is a number. */
const OWNERS_SHOWN = 8;

export class Narrator implements Disposable {
  readonly #node: Narrated;
  readonly #log: Log;
  readonly #ends: (() => void)[] = [];
  readonly #dropped: Map<string, { count: number; toldAt: number }> = new Map();
  #waitTold: string | undefined;
  #waitSeen: string | undefined;
  #waitSeenAt = 0;
  #look: NodeJS.Timeout | undefined;
  #looksLeft = 0;
  #isTelling = false;
  /** What was asked for is no trouble. */
  isStopping = false;
  /** What happened before the banner; undefined once it is shown. */
  #held: (() => void)[] | undefined = [];

  constructor(node: Narrated, log: Log) {
    this.#node = node;
    this.#log = log;
  }

  /** Keeps what happens from now on until `tell`. */
  start(): void {
    this.#ends.push(this.#node.subscribe((event) => this.#onEvent(event)));
  }

  /** Tells what was kept, and from now on everything at once, waits too. */
  tell(): void {
    this.#flush();
    this.#tellNewWait();
    const again = setInterval(() => this.#tellWait(), WAIT_EVERY_MS);
    again.unref();
    this.#ends.push(
      () => clearInterval(again),
      () => clearInterval(this.#look),
    );
    this.#isTelling = true;
    this.#keepLooking();
  }

  /** A wait may begin without an event of its own. */
  #keepLooking(): void {
    this.#looksLeft = LOOKS_AFTER_EVENT;
    if (this.#look !== undefined || !this.#isTelling) return;
    this.#look = setInterval(() => {
      this.#tellNewWait();
      this.#looksLeft -= 1;
      if (this.#looksLeft > 0 || this.#waitSeen !== undefined) return;
      clearInterval(this.#look);
      this.#look = undefined;
    }, LOOK_EVERY_MS).unref();
  }

  #flush(): void {
    for (const tell of this.#held ?? []) tell();
    this.#held = undefined;
  }

  [Symbol.dispose](): void {
    this.#flush();
    this.#isTelling = false;
    for (const end of this.#ends.splice(0)) end();
  }

  #onEvent(event: NodeEvent): void {
    if (this.#held !== undefined) {
      if (this.#held.length < HELD_MAX) this.#held.push(() => this.#tellEvent(event));
      return;
    }
    this.#tellEvent(event);
    this.#tellNewWait();
    this.#keepLooking();
  }

  #tellEvent(event: NodeEvent): void {
    if (event.kind === 'dropped') this.#tellDropped(event);
    const line = lineOf(event);
    if (line === undefined) {
      const detail = detailOf(event);
      if (detail !== undefined) this.#log.say('debug', event.kind, detail.text, detail.fields);
      return;
    }
    const isExpected = event.kind === 'leaseLost' && this.isStopping;
    this.#log.say(isExpected ? 'info' : line.level, event.kind, line.text, fieldsOf(event));
  }

  /** A wait is told at once when its reason is new... */
  #tellNewWait(): void {
    const { waiting } = this.#node.view();
    const reason = waiting === undefined ? undefined : `${waiting.reason} ${waiting.nodes.join(',')}`;
    if (reason !== this.#waitSeen) this.#waitSeenAt = performance.now();
    this.#waitSeen = reason;
    if (reason === this.#waitTold) return;
    // Every election is a short wait for a leader: nothing to tell before it lasts.
    if (waiting?.reason === 'leader' && performance.now() - this.#waitSeenAt < LEADER_PATIENCE_MS) return;
    this.#waitTold = reason;
    if (reason !== undefined) this.#tellWait();
  }

  /** ...and every ten seconds as long as it lasts. */
  #tellWait(): void {
    const { waiting } = this.#node.view();
    if (waiting === undefined || this.#waitTold === undefined) return;
    const seconds = Math.max(0, Math.round((this.#node.now() - waiting.since) / 1000));
    const whom = waiting.nodes.length === 0 ? '' : `: ${waiting.nodes.join(', ')}`;
    const text = `waiting for ${WAIT_WORDS[waiting.reason]}${whom} (${seconds} s); ${waiting.advice}`;
    this.#log.say('info', 'waiting', text, { reason: waiting.reason, nodes: waiting.nodes, seconds });
  }

  #tellDropped({ where, reason }: Extract<NodeEvent, { kind: 'dropped' }>): void {
    const now = performance.now();
    const key = `${where} ${reason}`;
    const held = this.#dropped.get(key) ?? { count: 0, toldAt: Number.NEGATIVE_INFINITY };
    held.count++;
    // Reasons come from fixed sets; a node that invents them must not fill memory.
    if (this.#dropped.size < 256 || this.#dropped.has(key)) this.#dropped.set(key, held);
    if (now - held.toldAt < DROPPED_EVERY_MS) return;
    const times = held.count === 1 ? '' : `, ${held.count} times`;
    this.#log.say('warn', 'dropped', `dropped from ${where}: ${reason}${times}`, { where, reason, count: held.count });
    held.count = 0;
    held.toldAt = now;
  }
}

const WAIT_WORDS: Readonly<Record<Waiting['reason'], string>> = {
  conflict: 'an end of the conflict with another cluster of this name',
  quorum: 'a quorum of voters',
  members: 'members',
  leader: 'a leader',
};

/** What people are told of an event; undefined for what only machines care about, and whoever asks for details. */
export function lineOf(event: NodeEvent): Line | undefined {
  switch (event.kind) {
    case 'stateChanged':
      return info(`state ${event.to} (was ${event.from})`);
    case 'roleChanged':
      return info(`role ${event.to} in term ${event.term} (was ${event.from})`);
    case 'leaderChanged':
      return info(`leader ${event.leader} in term ${event.term}`);
    case 'leaderLost':
      return info(`no leader: ${event.leader} is lost or stepped down`);
    case 'memberJoined':
      return info(`member ${event.member.name} joined at ${formatEndpoint(event.member.address)}`);
    case 'memberLeft':
      return info(`member ${event.member.name} left`);
    case 'memberFailed':
      return info(`member ${event.member.name} failed`);
    case 'memberReaped':
      return info(`member ${event.member.name} forgotten`);
    case 'clusterFounded':
      return info(`cluster ${event.clusterId} founded`);
    case 'clusterJoined':
      return info(`cluster ${event.clusterId} joined`);
    case 'clusterConflict':
      return {
        level: 'error',
        text: `${event.node} is of another cluster of our name: ${event.theirs}, ours is ${event.ours}`,
      };
    case 'clusterDissolved':
      return { level: 'warn', text: `cluster ${event.ours}, which held nothing, dissolves into ${event.into}` };
    case 'configurationChanged': {
      const learners = event.learners.length === 0 ? '' : `, learners ${event.learners.join(' ')}`;
      return info(`voters ${event.voters.join(' ') || 'none'}${learners}`);
    }
    case 'shardMapChanged':
      return info(`map ${event.map.version}: ${sharesOf(event.map)}`);
    case 'leaseGained':
      return info('lease gained');
    case 'leaseLost':
      return { level: 'warn', text: 'lease lost: no shard is served' };
    case 'livenessChanged':
      return info(event.alive ? `${event.node} answers again` : `${event.node} does not answer`);
    case 'keysChanged':
      return info(`${KEY_WORDS[event.operation]}; the keyring holds ${event.keys}`);
    case 'storageRoomChanged':
      return ROOM_LINES[event.room];
    case 'ailmentChanged':
      return AILMENT_LINES[event.ailment ?? 'none'];
    case 'warning':
      return { level: 'warn', text: event.text };
    case 'eventsForgotten':
      return { level: 'warn', text: `${event.count} events were forgotten: this program was too busy to take them` };
    case 'stopped':
      return event.exitCode === 0
        ? info(`stopped: ${event.reason}`)
        : { level: 'error', text: `stopped: ${event.reason}` };
    default:
      return undefined;
  }
}

const ROOM_LINES: Readonly<Record<StorageRoom, Line>> = {
  enough: { level: 'info', text: 'the disk has room for the log again' },
  low: { level: 'error', text: 'the disk is nearly full: no further file of the log can be made; free some room' },
  full: { level: 'error', text: 'the disk is full: no entries are taken until there is room; free some' },
};

const AILMENT_LINES: Readonly<Record<'none' | 'disk' | 'loop', Line>> = {
  none: { level: 'info', text: 'fit to lead again' },
  disk: {
    level: 'error',
    text: 'a write of the log is not durable for 5 s: another voter should lead; look at the disk',
  },
  loop: { level: 'warn', text: 'the event loop is late: another voter should lead; the machine is too busy' },
};

const KEY_WORDS: Readonly<Record<'install' | 'use' | 'remove', string>> = {
  install: 'a gossip key was installed',
  use: 'the primary gossip key was changed',
  remove: 'a gossip key was removed',
};

/** `n1 3334, n2 3333, n3 3333 of 10000 shards` */
export function sharesOf(map: ShardMap): string {
  const counts = new Array<number>(map.owners.length).fill(0);
  for (const owner of map.ownerOf) counts[owner] = (counts[owner] ?? 0) + 1;
  const shares = map.owners.map(({ node }, index) => `${node} ${counts[index]}`);
  const more = shares.length > OWNERS_SHOWN ? [`${shares.length - OWNERS_SHOWN} more`] : [];
  return `${[...shares.slice(0, OWNERS_SHOWN), ...more].join(', ') || 'nobody'} of ${map.shardCount} shards`;
}

function info(text: string): Line {
  return { level: 'info', text };
}

/** The event's own values, as far as they are small. */
function fieldsOf(event: NodeEvent): Readonly<Record<string, unknown>> {
  const { kind: _, ...fields } = event;
  if (event.kind === 'shardMapChanged') return { version: event.map.version, owners: event.map.owners.length };
  if ('member' in fields) return { member: fields.member.name, address: formatEndpoint(fields.member.address) };
  return fields;
}
