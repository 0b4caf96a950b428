/** From the events of a node to those that handler scripts are told: bursts of members and user events are told once. wire-gossip.md 19.2. */
import type { Member } from '../model/member.ts';
import type { NodeEvent } from '../model/node-event.ts';
import { Coalescer, type CoalescerTiming } from './coalescer.ts';
import type { MemberEventName } from './handler-spec.ts';

export type HandlerEvent =
  | { readonly event: MemberEventName; readonly members: readonly Member[] }
  | { readonly event: 'user'; readonly name: string; readonly lamportTime: number; readonly payload: Uint8Array }
  | {
      readonly event: 'query';
      readonly name: string;
      readonly lamportTime: number;
      readonly payload: Uint8Array;
      readonly token: number;
    };

type UserEvent = Extract<HandlerEvent, { event: 'user' }>;

const MEMBER_NAMES: Readonly<Record<string, MemberEventName>> = {
  memberJoined: 'member-join',
  memberLeft: 'member-leave',
  memberFailed: 'member-failed',
  memberUpdated: 'member-update',
  memberReaped: 'member-reap',
};

export class HandlerEvents {
  readonly #tell: (event: HandlerEvent) => void;
  readonly #members: Coalescer;
  readonly #users: Coalescer;
  /** The newest of each member, by name. */
  #gathered: Map<string, { readonly event: MemberEventName; readonly member: Member }> = new Map();
  /** What was last told of a member: the same again is no news. */
  readonly #toldOf: Map<string, MemberEventName> = new Map();
  #waiting: Map<string, UserEvent[]> = new Map();

  constructor(timing: CoalescerTiming, tell: (event: HandlerEvent) => void) {
    this.#tell = tell;
    this.#members = new Coalescer(timing, () => this.#flushMembers());
    this.#users = new Coalescer(timing, () => this.#flushUsers());
  }

  note(event: NodeEvent): void {
    switch (event.kind) {
      case 'memberJoined':
      case 'memberLeft':
      case 'memberFailed':
      case 'memberUpdated':
      case 'memberReaped': {
        const name = MEMBER_NAMES[event.kind];
        if (name === undefined) return;
        this.#gathered.set(event.member.name, { event: name, member: event.member });
        this.#members.note();
        return;
      }
      case 'userEvent': {
        const { name, lamportTime, payload, coalesce } = event;
        const told: UserEvent = { event: 'user', name, lamportTime, payload };
        if (coalesce) this.#gatherUser(told);
        else this.#tell(told);
        return;
      }
      case 'queryAsked': {
        const { name, lamportTime, payload, token } = event;
        this.#tell({ event: 'query', name, lamportTime, payload, token });
        return;
      }
      default:
    }
  }

  close(): void {
    this.#members.close();
    this.#users.close();
  }

  /** Of one name the newest counts; several may share its time. */
  #gatherUser(event: UserEvent): void {
    const held = this.#waiting.get(event.name);
    const newest = held?.[0]?.lamportTime ?? -1;
    if (held !== undefined && event.lamportTime === newest) held.push(event);
    else if (event.lamportTime > newest) this.#waiting.set(event.name, [event]);
    this.#users.note();
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
