/** When a request may be sent again: only when it is certain that no application has seen it, or when its sender says that seeing it twice is harmless. */
import type { RouteReason } from '../route-headers.ts';

/** Redirects that are followed one after the other without a pause; beyond it the nodes disagree, and time will tell. */
export const REDIRECTS_AT_ONCE_MAX = 3;
const PAUSE_MS_MIN = 20;
const PAUSE_MS_MAX = 500;

/** What a router says in place of the application. (Not `broken`: the owner may have begun. Nor what every other node would say, too.) */
const UNSEEN: ReadonlySet<RouteReason> = new Set<RouteReason>([
  'moved',
  'queue-full',
  'moving',
  'no-owner',
  'map-behind',
  'no-endpoint',
  'unreachable',
  'stopping',
]);

export function isUnseen(reason: RouteReason | undefined): boolean {
  return reason !== undefined && UNSEEN.has(reason);
}

/** Before the attempt after `failures` ones that failed. A change of the cluster ends the pause early. */
export function pauseMs(failures: number, chance: number): number {
  const longest = Math.min(PAUSE_MS_MAX, PAUSE_MS_MIN * 2 ** Math.min(failures, 10));
  return longest * (0.5 + chance / 2);
}
