/** What a Serf agent tells its handlers and the clients of its RPC: the events of a node, gathered as an agent gathers them. wire-gossip.md 19.2. */
import type { Member } from './member.ts';

export const MEMBER_EVENT_NAMES = [
  'member-join',
  'member-leave',
  'member-failed',
  'member-update',
  'member-reap',
] as const;
export type MemberEventName = (typeof MEMBER_EVENT_NAMES)[number];

export type AgentEvent =
  | { readonly event: MemberEventName; readonly members: readonly Member[] }
  | {
      readonly event: 'user';
      readonly name: string;
      readonly lamportTime: number;
      readonly payload: Uint8Array;
      readonly coalesce: boolean;
    }
  | {
      readonly event: 'query';
      readonly name: string;
      readonly lamportTime: number;
      readonly payload: Uint8Array;
      /** Answers it, until `deadline` (monotonic milliseconds). */
      readonly token: number;
      readonly deadline: number;
    };

/** Every event from now on. Returns the function that ends it. */
export type AgentEventSource = (listener: (event: AgentEvent) => void) => () => void;
