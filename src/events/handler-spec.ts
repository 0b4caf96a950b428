/** Which events a handler script wants: `[event[,event…]=]script`, as Serf's agent writes it. wire-gossip.md 19.3. */
import { MEMBER_EVENT_NAMES, type MemberEventName } from '../model/agent-event.ts';

export type HandlerEventName = MemberEventName | 'user' | 'query';

export interface HandlerFilter {
  readonly event: HandlerEventName | '*';
  /** Only the user event or query of this name; any when it is undefined. */
  readonly name: string | undefined;
}

export interface HandlerSpec {
  /** As the operator wrote it. */
  readonly text: string;
  readonly filters: readonly HandlerFilter[];
  /** For `/bin/sh -c`. */
  readonly script: string;
}

const EVENTS: readonly string[] = [...MEMBER_EVENT_NAMES, 'user', 'query', '*'];

/** The spec, or what is wrong with it. */
export function parseHandlerSpec(text: string): HandlerSpec | string {
  const at = text.indexOf('=');
  const script = at < 0 ? text : text.slice(at + 1);
  if (script.trim() === '') return `"${text}" names no script`;
  if (at <= 0) return { text, filters: [{ event: '*', name: undefined }], script };
  const filters: HandlerFilter[] = [];
  for (const word of text.slice(0, at).split(',')) {
    const [event = '', name] = word.trim().split(/:(.*)/s);
    if (!EVENTS.includes(event) || (name !== undefined && event !== 'user' && event !== 'query'))
      return `"${word}" is no event: known are ${EVENTS.join(', ')}, user:NAME and query:NAME`;
    filters.push({ event: event as HandlerFilter['event'], name });
  }
  return { text, filters, script };
}

export function isWanted({ filters }: HandlerSpec, event: HandlerEventName, name: string | undefined): boolean {
  return filters.some(
    (filter) => filter.event === '*' || (filter.event === event && (filter.name === undefined || filter.name === name)),
  );
}
