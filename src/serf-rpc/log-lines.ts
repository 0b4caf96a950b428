/**
 * What a monitor shows: the last lines of the node's log in the words of a Serf agent, and every one from now on.
 * wire-gossip.md 20.5.
 */
import { unreachable } from '../base/assert.ts';
import type { AgentEvent } from '../model/agent-event.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { Logger, LogLevel } from '../ports/logger.ts';

/** As many as an agent keeps. */
const LINES_MAX = 512;
/** A line is for people; what is longer is cut. */
const LINE_LENGTH_MAX = 2_048;

/** In Serf's words, from the most to the least talkative. */
const LEVELS = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERR'] as const;
export type RpcLogLevel = (typeof LEVELS)[number];

const LEVEL_OF: Readonly<Record<LogLevel, RpcLogLevel>> = {
  trace: 'TRACE',
  debug: 'DEBUG',
  info: 'INFO',
  warn: 'WARN',
  error: 'ERR',
};

/** Upper-case; undefined when an agent has no such level. */
export function rpcLogLevel(text: string): RpcLogLevel | undefined {
  return LEVELS.find((level) => level === text);
}

interface Line {
  readonly rank: number;
  readonly text: string;
}

type LineListener = (line: string) => void;

export class LogLines {
  readonly #wall: () => number;
  readonly #lines: Line[] = [];
  readonly #listeners: Map<LineListener, number> = new Map();

  /** `wall`: Unix milliseconds. */
  constructor(wall: () => number) {
    this.#wall = wall;
  }

  note(level: RpcLogLevel, component: string, text: string): void {
    const rank = LEVELS.indexOf(level);
    const line = `${timestamp(this.#wall())} [${level}] ${component}: ${text}`.slice(0, LINE_LENGTH_MAX).trimEnd();
    this.#lines.push({ rank, text: line });
    if (this.#lines.length > LINES_MAX) this.#lines.shift();
    for (const [listener, least] of this.#listeners) if (rank >= least) listener(line);
  }

  /** A logger that writes here what it passes on to `logger`. */
  tee(component: string, logger: Logger): Logger {
    return {
      log: (level, event, fields) => {
        const words = Object.entries(fields).map(([name, value]) => `${name}=${wordOf(value)}`);
        this.note(LEVEL_OF[level], component, [event, ...words].join(' '));
        logger.log(level, event, fields);
      },
      child: (room) => this.tee(`${component}.${room}`, logger.child(room)),
    };
  }

  /** What happened to the node, as an agent would tell it. */
  tell(event: NodeEvent): void {
    const told = narrated(event);
    if (told !== undefined) this.note(...told);
  }

  /** What reaches handlers and streams, as an agent tells of it. */
  hear(event: AgentEvent): void {
    const what =
      event.event === 'user' ? `user-event: ${event.name}` : 'name' in event ? `query: ${event.name}` : event.event;
    this.note('INFO', 'agent', `Received event: ${what}`);
  }

  /** Lines of at least `least` that are kept, oldest first. */
  recent(least: RpcLogLevel): string[] {
    const rank = LEVELS.indexOf(least);
    return this.#lines.filter((line) => line.rank >= rank).map(({ text }) => text);
  }

  /** Every line of at least `least` from now on. Returns the function that ends it. */
  subscribe(least: RpcLogLevel, listener: LineListener): () => void {
    this.#listeners.set(listener, LEVELS.indexOf(least));
    return () => this.#listeners.delete(listener);
  }
}

/** Scripts look for the words of Serf's own lines: those of members, events and queries are the same. */
function narrated(event: NodeEvent): readonly [RpcLogLevel, string, string] | undefined {
  switch (event.kind) {
    case 'memberJoined':
      return ['INFO', 'serf', `EventMemberJoin: ${event.member.name} ${event.member.address.host}`];
    case 'memberLeft':
      return ['INFO', 'serf', `EventMemberLeave: ${event.member.name} ${event.member.address.host}`];
    case 'memberFailed':
      return ['INFO', 'serf', `EventMemberFailed: ${event.member.name} ${event.member.address.host}`];
    case 'memberUpdated':
      return ['INFO', 'serf', `EventMemberUpdate: ${event.member.name}`];
    case 'memberReaped':
      return ['INFO', 'serf', `EventMemberReap: ${event.member.name}`];
    case 'stateChanged':
      return ['INFO', 'funknode', `state ${event.from} -> ${event.to}`];
    case 'roleChanged':
      return ['INFO', 'funknode', `role ${event.from} -> ${event.to}`];
    case 'leaderChanged':
      return ['INFO', 'funknode', `leader: ${event.leader}`];
    case 'leaderLost':
      return ['WARN', 'funknode', `no leader; it was ${event.leader}`];
    case 'clusterConflict':
      return ['WARN', 'funknode', `another cluster of this name: ${event.theirs}, at ${event.node}`];
    case 'keysChanged':
      return ['INFO', 'serf', `keyring changed (${event.operation}): ${event.keys} keys`];
    case 'waiting':
    case 'warning':
      return ['WARN', 'funknode', event.text];
    case 'storageRoomChanged':
      return [event.room === 'enough' ? 'INFO' : 'WARN', 'funknode', `room for the log: ${event.room}`];
    case 'ailmentChanged':
      return event.ailment === undefined
        ? ['INFO', 'funknode', 'fit to lead again']
        : ['WARN', 'funknode', `unfit to lead: ${event.ailment}`];
    case 'dropped':
      return ['DEBUG', 'funknode', `dropped what a peer sent: ${event.where}: ${event.reason}`];
    case 'stopped':
      return ['INFO', 'funknode', `stopped: ${event.reason}`];
    // An agent tells of them when it has gathered them: `hear`.
    case 'userEvent':
    case 'queryAsked':
    case 'eventsForgotten':
    case 'queryAck':
    case 'queryResponse':
    case 'queryEnded':
    case 'endpointChanged':
    case 'clusterFounded':
    case 'clusterJoined':
    case 'clusterDissolved':
    case 'configurationChanged':
    case 'shardMapProposed':
    case 'shardMapChanged':
    case 'shardsReleasing':
    case 'restartPermitChanged':
    case 'shardsReleaseOver':
    case 'shardsStarted':
    case 'leaseGained':
    case 'leaseLost':
    case 'livenessChanged':
      return undefined;
    default:
      return unreachable(event);
  }
}

/** `2026/11/20 21:51:23` in local time, as Go's logger has it. */
function timestamp(wallMs: number): string {
  const at = new Date(wallMs);
  const two = (part: number): string => String(part).padStart(2, '0');
  const day = `${at.getFullYear()}/${two(at.getMonth() + 1)}/${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
}
