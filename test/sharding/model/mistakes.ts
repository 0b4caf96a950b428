/** Planted mistakes of docs/ownership.md section 8: each replaces one rule. A net that misses them is of no use. */
import type { LogIndex } from '../../../src/model/ids.ts';
import { OWNERSHIP_RULES, type OwnershipRules } from '../../../src/sharding/rules.ts';
import type { RunOptions } from './cluster.ts';

const MISTAKES: Readonly<Record<string, Partial<OwnershipRules>>> = {
  'O-1: losers go on serving while a map is pending': { mayServe: (byActive) => byActive },
  'O-2: a grant counts from its receipt': { grantCountsFrom: (grant) => grant.receivedAt },
  'O-3: the grant of the predecessor is kept': { keepsAtReadiness: (what) => what === 'grant' },
  'O-3: open requests are kept': { keepsAtReadiness: (what) => what === 'openRequests' },
  'O-7: winners start on the proposal': { mayServe: (byActive, byPending) => byPending ?? byActive },
  'O-9: granting without a leader lease': { mayGrant: (leader) => leader.isReady && !leader.isTransferring },
  'O-11: no floor': { floor: () => 0 as LogIndex },
  'O-11: the floor rises when the commit is applied': { floor: (versions) => versions.active },
  'O-13: a new boot is trusted without a lock': { isProvenDead: () => true },
  'O-13: a lock is trusted from a boot that may be the older one': {
    isProvenDead: (older) => older.newLocked && older.isVoter,
  },
  'O-14: a new leader waits for nobody': { lastGrantAt: (times) => times.recordedAt ?? Number.NEGATIVE_INFINITY },
  'O-17: any acknowledgement will do': { isAcknowledged: (released) => released > 0 },
  'section 1: an owner is known by its id alone': { isSameOwner: (a, b) => a.node === b.node },
};

const SETTINGS: Readonly<Record<string, Partial<RunOptions>>> = {
  'section 1: no margin for clocks that run apart': { config: { clockDrift: 0 } },
  'section 1: nobody looks for a suspended guest': { ignoresJumps: true },
};

export const PLANTED: readonly string[] = [...Object.keys(MISTAKES), ...Object.keys(SETTINGS)];

/** What a run with this mistake is started with. */
export function plant(mistake: string): Partial<RunOptions> {
  return { rules: { ...OWNERSHIP_RULES, ...MISTAKES[mistake] }, hasInsideChecks: false, ...SETTINGS[mistake] };
}
