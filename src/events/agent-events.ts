/**
 * From the events of a node to those of a Serf agent: bursts of members and of user events are told once, to scripts and to clients of the
 * RPC alike. An agent gathers ahead of both, so whoever listens late still hears of what is being gathered. wire-gossip.md 19.2.
 */
import type { AgentEvent, AgentEventSource, MemberEventName } from '../model/agent-event.ts';
import type { Member } from '../model/member.ts';
import type { NodeEvent } from '../model/node-event.ts';
import { Coalescer, type CoalescerTiming } from './coalescer.ts';

export interface AgentTiming {
  readonly members: CoalescerTiming;
  readonly users: CoalescerTiming;
}

/** Names of user events that are gathered at a time, and events of one name: beyond them what is there is told at once. */
const NAMES_MAX = 1_024;
const PER_NAME_MAX = 64;

type UserEvent = Extract<AgentEvent, { event: 'user' }>;

const MEMBER_NAMES = {
  memberJoined: 'member-join',
  memberLeft: 'member-leave',
  memberFailed: 'member-failed',
  memberUpdated: 'member-update',
  memberReaped: 'member-reap',
} as const;

export class AgentEvents {
  readonly #listeners: Set<(event: AgentEvent) => void> = new Set();
  /** Undefined: told at once. */
  readonly #members: Coalescer | undefined;
  readonly #users: Coalescer | undefined;
  /** The newest of each member, by name. */
  #gathered: Map<string, { readonly event: MemberEventName; readonly member: Member }> = new Map();
  /** What was last told of a member: the same again is no news. */
  readonly #toldOf: Map<string, MemberEventName> = new Map();
  #waiting: Map<string, UserEvent[]> = new Map();

  constructor({ members, users }: AgentTiming) {
    this.#members = isOn(members) ? new Coalescer(members, () => this.#flushMembers()) : undefined;
    this.#users = isOn(users) ? new Coalescer(users, () => this.#flushUsers()) : undefined;
  }

  readonly subscribe: AgentEventSource = (listener) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  note(event: NodeEvent): void {
    switch (event.kind) {
      case 'memberJoined':
      case 'memberLeft':
      case 'memberFailed':
      case 'memberUpdated':
      case 'memberReaped':
        this.#noteMember(MEMBER_NAMES[event.kind], event.member);
        return;
      case 'userEvent': {
        const { name, lamportTime, payload, coalesce } = event;
        const told: UserEvent = { event: 'user', name, lamportTime, payload, coalesce };
        if (coalesce && this.#users !== undefined) this.#gatherUser(told, this.#users);
        else this.#tell(told);
        return;
      }
      case 'queryAsked': {
        const { name, lamportTime, payload, token, deadline } = event;
        this.#tell({ event: 'query', name, lamportTime, payload, token, deadline });
        return;
      }
      default:
    }
  }

  /** What was gathered is not told any more. */
  close(): void {
    this.#members?.close();
    this.#users?.close();
    this.#listeners.clear();
  }

  #tell(event: AgentEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #noteMember(event: MemberEventName, member: Member): void {
    if (this.#members === undefined) {
      this.#tell({ event, members: [member] });
      return;
    }
    this.#gathered.set(member.name, { event, member });
    this.#members.note();
  }

  /** Of one name the newest counts; several may share its time. */
  #gatherUser(event: UserEvent, coalescer: Coalescer): void {
    const held = this.#waiting.get(event.name);
    const newest = held?.[0]?.lamportTime ?? -1;
    if (held !== undefined && event.lamportTime === newest) held.push(event);
    else if (event.lamportTime > newest) this.#waiting.set(event.name, [event]);
    coalescer.note();
    const isFull = this.#waiting.size > NAMES_MAX || (this.#waiting.get(event.name)?.length ?? 0) > PER_NAME_MAX;
    if (isFull) coalescer.flush();
  }

  #flushUsers(): void {
    const gathered = this.#waiting;
    this.#waiting = new Map();
    for (const events of gathered.values()) for (const event of events) this.#tell(event);
  }

  #flushMembers(): void {
    const gathered = this.#gathered;
    this.#gathered = new Map();
    const byEvent = new Map<MemberEventName, Member[]>();
    for (const [name, { event, member }] of gathered) {
      if (this.#toldOf.get(name) === event && event !== 'member-update') continue;
      if (event === 'member-reap') this.#toldOf.delete(name);
      else this.#toldOf.set(name, event);
      const members = byEvent.get(event) ?? [];
      members.push(member);
      byEvent.set(event, members);
    }
    for (const [event, members] of byEvent) this.#tell({ event, members });
  }
}

/** serf: a period of 0 turns gathering off. */
function isOn({ windowMs, quietMs }: CoalescerTiming): boolean {
  return windowMs > 0 && quietMs > 0;
}
