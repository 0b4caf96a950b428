/** Which word about a member counts: pure rules of precedence. SWIM §4.2 in memberlist's stricter reading, wire-gossip.md 8. */
import { equalBytes, utf8 } from '../base/bytes.ts';
import type { SwimClaim, SwimMemberState } from './messages.ts';
import { META_BYTES_MAX } from './config.ts';

/** Claims of this incarnation and above are refused: the wire has 32 bits, and the accused must be able to go higher. */
export const INCARNATION_LIMIT = 0xffff_fff0;
/** Bytes of a name that we keep. memberlist's modern limit is 128; older clusters had none, but news must fit a packet. */
const NAME_BYTES_MAX = 255;
const VERSION_BYTES = 6;

export interface Held {
  readonly incarnation: number;
  readonly state: SwimMemberState;
}

/** Whether a claim from the wire replaces what we hold about another node (8.1 to 8.3). */
export function supersedes(claim: Held, held: Held): boolean {
  switch (claim.state) {
    case 'alive': // Only the member itself raises its incarnation: higher means it refuted.
      return claim.incarnation > held.incarnation;
    case 'suspect':
      return held.state === 'alive' && claim.incarnation >= held.incarnation;
    case 'dead':
    case 'left':
      return isPresent(held.state) && claim.incarnation >= held.incarnation;
  }
}

/** Alive until shown otherwise: the suspect is still asked, counted and gossiped to. */
export function isPresent(state: SwimMemberState): boolean {
  return state === 'alive' || state === 'suspect';
}

export type ClaimFault = 'badName' | 'badAddress' | 'badVersions' | 'metaTooLarge' | 'badIncarnation';

/** What makes an alive claim unusable whatever we hold, or undefined. */
export function faultOf(claim: SwimClaim): ClaimFault | undefined {
  if (!isNameSound(claim.name)) return 'badName';
  if (claim.addressBytes.length !== 4 && claim.addressBytes.length !== 16) return 'badAddress';
  if (claim.meta.length > META_BYTES_MAX) return 'metaTooLarge';
  // The first alive of any node carries 1.
  if (claim.incarnation === 0 || claim.incarnation >= INCARNATION_LIMIT) return 'badIncarnation';
  return isVersionsSound(claim.versions) ? undefined : 'badVersions';
}

export function isNameSound(name: string): boolean {
  return name.length > 0 && name.length <= NAME_BYTES_MAX && utf8(name).length <= NAME_BYTES_MAX;
}

/**
 * Six bytes, with the spoken version inside its range, for memberlist and delegate. memberlist checks bytes 0 and 1 only, but a
 * row with zero or contradictory versions makes every later push/pull of the whole cluster fail (wire-gossip 3.1).
 */
function isVersionsSound(versions: Uint8Array): boolean {
  if (versions.length !== VERSION_BYTES) return false;
  const [min, max, spoken, delegateMin, delegateMax, delegateSpoken] = versions as unknown as VersionTuple;
  return min > 0 && min <= spoken && spoken <= max && delegateMin <= delegateSpoken && delegateSpoken <= delegateMax;
}

type VersionTuple = readonly [number, number, number, number, number, number];

/** What version verification looks at (8.6). */
export interface Versioned {
  readonly name: string;
  readonly versions: Uint8Array;
  readonly state: SwimMemberState;
}

/** Why the two lists cannot be one cluster, or undefined. Ranges come from the living, and everyone must fit them. */
export function versionConflict(remote: readonly Versioned[], local: readonly Versioned[]): string | undefined {
  const all = [...remote, ...local];
  for (const { what, offset } of VERSION_KINDS) {
    let lowest = 0;
    let highest = 255;
    for (const node of all) {
      if (node.state !== 'alive' || node.versions.length !== VERSION_BYTES) continue;
      lowest = Math.max(lowest, node.versions[offset] as number);
      highest = Math.min(highest, node.versions[offset + 1] as number);
    }
    const outside = all.find(({ versions }) => {
      const spoken = versions[offset + 2] ?? 0;
      return spoken < lowest || spoken > highest;
    });
    if (outside !== undefined) {
      const spoken = outside.versions[offset + 2] ?? 0;
      return `node ${outside.name} speaks ${what} version ${spoken}, outside ${lowest} to ${highest}`;
    }
  }
  return undefined;
}

const VERSION_KINDS = [
  { what: 'memberlist', offset: 0 },
  { what: 'delegate', offset: 3 },
] as const;

export function sameAddress(
  a: { readonly addressBytes: Uint8Array; readonly port: number },
  b: { readonly addressBytes: Uint8Array; readonly port: number },
): boolean {
  return a.port === b.port && equalBytes(a.addressBytes, b.addressBytes);
}
