/** Which events a client's stream carries: `member-join`, `user:deploy`, `query`, `*`, with commas between several. wire-gossip.md 20.5. */
import { type AgentEvent, MEMBER_EVENT_NAMES } from '../model/agent-event.ts';

const PLAIN: readonly string[] = [...MEMBER_EVENT_NAMES, 'user', 'query', '*'];
const TERMS_MAX = 64;

/** Undefined when one of its terms is none of Serf's. */
export function parseEventFilter(text: string): ((event: AgentEvent) => boolean) | undefined {
  const terms = (text === '' ? '*' : text).split(',');
  const isKnown = (term: string): boolean => PLAIN.includes(term) || /^(?:user|query):/.test(term);
  if (terms.length > TERMS_MAX || !terms.every(isKnown)) return undefined;
  // `user:` without a name is every user event, as agents have it.
  const wanted = new Set(terms.map((term) => term.replace(/^(user|query):$/, '$1')));
  return (event) => wanted.has('*') || wordsFor(event).some((word) => wanted.has(word));
}

function wordsFor(event: AgentEvent): readonly string[] {
  return 'name' in event ? [event.event, `${event.event}:${event.name}`] : [event.event];
}
