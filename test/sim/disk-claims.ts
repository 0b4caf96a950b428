/** What a start may find after a crash: all that was acknowledged, and of what was under way a part that stands by itself. */
import { equalBytes } from '../../src/base/bytes.ts';
import type { LogImage, Operation } from './directory.ts';

/** Snapshots that are under way beside writes; others wait for their turn. */
const SAVES_MAX = 4;

/**
 * Whether `found` is `durable` with the beginning of what was `asked`: snapshots may be behind the writes that were asked for after them.
 * After damage an older snapshot will do, with the entries that it lacks (`mayFallBack`).
 */
export function isOneOf(
  found: LogImage,
  durable: LogImage,
  asked: readonly Operation[],
  { mayFallBack }: { readonly mayFallBack: boolean },
): boolean {
  for (let count = 0; count <= asked.length; count++) {
    const begun = asked.slice(0, count);
    const saves = begun.filter(({ effect }) => effect.kind === 'saveSnapshot').slice(-SAVES_MAX);
    for (let chosen = 0; chosen < 2 ** saves.length; chosen++) {
      const behind = saves.filter((_, i) => (chosen & (1 << i)) !== 0);
      const image = durable.copy();
      for (const operation of begun)
        if (!behind.includes(operation)) image.apply(operation.effect, operation.freshStamp);
      if (isSame(found, image, mayFallBack)) return true;
    }
  }
  return false;
}

function isSame(found: LogImage, claimed: LogImage, mayFallBack: boolean): boolean {
  const isOneMember = found.stamp === claimed.stamp || isUnused(claimed);
  return (
    isOneMember &&
    found.clusterId === claimed.clusterId &&
    found.hardState.term === claimed.hardState.term &&
    found.hardState.vote === claimed.hardState.vote &&
    isSnapshotOf(found, claimed, mayFallBack) &&
    areEntriesOf(found, claimed)
  );
}

/** Whoever has promised nothing may begin again under another stamp. */
function isUnused({ clusterId, hardState, entries, snapshot }: LogImage): boolean {
  return clusterId === undefined && hardState.term === 0 && entries.length === 0 && snapshot === undefined;
}

function isSnapshotOf(found: LogImage, claimed: LogImage, mayFallBack: boolean): boolean {
  const mine = found.snapshot;
  const theirs = claimed.snapshot;
  const [index, claimedIndex] = [mine?.meta.lastLog.index ?? 0, theirs?.meta.lastLog.index ?? 0];
  if (index !== claimedIndex) return mayFallBack && index < claimedIndex;
  return mine === theirs || (mine !== undefined && theirs !== undefined && equalBytes(mine.bytes, theirs.bytes));
}

/** Those that both hold are equal; together with its snapshot, what was found goes as far. */
function areEntriesOf(found: LogImage, claimed: LogImage): boolean {
  if (found.lastIndex !== claimed.lastIndex) return false;
  if (found.firstIndex > (found.snapshot?.meta.lastLog.index ?? 0) + 1) return false;
  for (let index = Math.max(found.firstIndex, claimed.firstIndex); index <= found.lastIndex; index++) {
    const [mine, theirs] = [found.entryAt(index), claimed.entryAt(index)];
    const isEqual = mine?.term === theirs?.term && mine?.kind === theirs?.kind;
    if (!isEqual || mine === undefined || theirs === undefined || !equalBytes(mine.data, theirs.data)) return false;
  }
  return true;
}
