/** What a turn has to tell, without what it only passed through. */
import type { ClusterEffect } from '../cluster/messages.ts';

/**
 * Maps and configurations that came and went within the turn were never in force for anybody who could ask: a restarted node that reads
 * its log tells the last of each, not its history.
 */
export function withoutPassedThrough(effects: readonly ClusterEffect[]): readonly ClusterEffect[] {
  const last = new Map<string, ClusterEffect>();
  for (const effect of effects) if (isOfStanding(effect)) last.set(effect.event.kind, effect);
  return effects.filter((effect) => !isOfStanding(effect) || last.get(effect.event.kind) === effect);
}

function isOfStanding(effect: ClusterEffect): effect is Extract<ClusterEffect, { kind: 'notify' }> {
  return (
    effect.kind === 'notify' &&
    (effect.event.kind === 'configurationChanged' || effect.event.kind === 'shardMapChanged')
  );
}
