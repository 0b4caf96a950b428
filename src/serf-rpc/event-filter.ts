/** Which events a client's stream carries: `member-join`, `user:deploy`, `query`, `*`, with commas between several. wire-gossip.md 20.5. */
import type { GossipEvent } from '../model/gossip-request.ts';
import type { Member } from '../model/member.ts';
import type { NodeEvent } from '../model/node-event.ts';

export type StreamedEvent =
  | { readonly kind: 'member'; readonly event: string; readonly member: Member }
  | (GossipEvent & { readonly kind: 'userEvent' | 'queryAsked' });

const MEMBER_EVENTS = {
  memberJoined: 'member-join',
  memberLeft: 'member-leave',
  memberFailed: 'member-failed',
  memberUpdated: 'member-update',
  memberReaped: 'member-reap',
} as const;

const PLAIN: readonly string[] = [...Object.values(MEMBER_EVENTS), 'user', 'query', '*'];
const TERMS_MAX = 64;

/** Undefined when one of its terms is none of Serf's. */
export function parseEventFilter(text: string): ((event: StreamedEvent) => boolean) | undefined {
  const terms = (text === '' ? '*' : text).split(',');
  const isKnown = (term: string): boolean => PLAIN.includes(term) || /^(?:user|query):/.test(term);
  if (terms.length > TERMS_MAX || !terms.every(isKnown)) return undefined;
  // `user:` without a name is every user event, as agents have it.
  const wanted = new Set(terms.map((term) => term.replace(/^(user|query):$/, '$1')));
  return (event) => wanted.has('*') || wordsFor(event).some((word) => wanted.has(word));
}

/** What of a node's events a stream may carry; undefined for the rest. */
export function streamedEvent(event: NodeEvent): StreamedEvent | undefined {
  switch (event.kind) {
    case 'memberJoined':
    case 'memberLeft':
    case 'memberFailed':
    case 'memberUpdated':
    case 'memberReaped':
      return { kind: 'member', event: MEMBER_EVENTS[event.kind], member: event.member };
    case 'userEvent':
    case 'queryAsked':
      return event;
    default:
      return undefined;
  }
}

function wordsFor(event: StreamedEvent): readonly string[] {
  if (event.kind === 'member') return [event.event];
  const kind = event.kind === 'userEvent' ? 'user' : 'query';
  return [kind, `${kind}:${event.name}`];
}
