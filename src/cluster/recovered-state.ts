/**
 * What a log says when every entry of it counts, committed or not: for an operator whose cluster has lost its quorum for good and
 * who goes on from the furthest survivor. Pure. raft.md 14, R-4; hashicorp/raft's RecoverCluster and etcd's force-new-cluster count
 * them all, too.
 */
import { DecodeError } from '../base/errors.ts';
import type { AgreedCopy } from '../model/backup.ts';
import type { ClusterId, LogIndex, MemberId, Term } from '../model/ids.ts';
import { NO_INDEX } from '../model/ids.ts';
import type { Configuration, LogId, RecoveredLog } from '../model/log.ts';
import { MapState } from '../sharding/sharding.ts';
import { encodeCommand } from '../wire/command/command.ts';
import { decodeShardCommand } from '../wire/sharding/map-entry.ts';
import { AgreedState, type Founding } from './agreed-state.ts';

/** Added to the index, and to the revision of the keys, of a state that is forced: what a lost leader may have handed out since stays in the past (R-4 e, I-29). */
export const FORCED_INDEX_GAP = 1_000_000;

export interface RecoveredState {
  readonly last: LogId;
  /** Entries that are not known to be committed; they count from now on. */
  readonly uncertain: number;
  readonly founding: Founding | undefined;
  readonly configuration: Configuration;
  readonly shardMapVersion: LogIndex;
}

export interface ForcedState extends RecoveredState {
  /** Where the new cluster's log begins. */
  readonly base: LogId;
  /** For a snapshot at `base`. All former members are excluded in it: who comes back does so under a new stamp. */
  readonly image: Uint8Array;
}

export function recoveredState(log: RecoveredLog): RecoveredState {
  return readings(log, replay(log));
}

export function forcedState(log: RecoveredLog): ForcedState {
  const { state, map } = replay(log);
  const found = readings(log, { state, map });
  const { voters, votersOutgoing, learners } = found.configuration;
  const base = { term: (log.hardState.term + 1) as Term, index: (found.last.index + FORCED_INDEX_GAP) as LogIndex };
  let index = found.last.index;
  for (const member of new Set<MemberId>([...voters, ...votersOutgoing, ...learners])) {
    index = (index + 1) as LogIndex;
    const data = encodeCommand({ kind: 'exclude', member });
    state.apply({ index, term: base.term, kind: 'command', data });
  }
  state.kv.jump(FORCED_INDEX_GAP);
  return { ...found, base, image: state.image(map.image()) };
}

/** All that the log of a stopped node says, its uncertain entries included; undefined when it never belonged to a cluster. */
export function copyOfLog(log: RecoveredLog, clusterId: ClusterId | undefined): AgreedCopy | undefined {
  const { state, map } = replay(log);
  const { founding, configuration, configurationIndex } = state;
  if (clusterId === undefined || founding === undefined) return undefined;
  const { last, uncertain, shardMapVersion: mapVersion } = readings(log, { state, map });
  const meta = { clusterId, lastLog: last, configuration, configurationIndex };
  const image = state.image(map.image());
  return { meta, image, term: log.hardState.term, ledBy: '', uncertain, mapVersion, ...founding };
}

/** A log that says what the copy says. */
export function logOfCopy({ meta, image, term, uncertain }: AgreedCopy): RecoveredLog {
  const commitHint = (meta.lastLog.index - uncertain) as LogIndex;
  const snapshot = { meta, bytes: image };
  return { hardState: { term, vote: null }, snapshot, entries: [], commitHint, tornTail: undefined };
}

interface Replayed {
  readonly state: AgreedState;
  readonly map: MapState;
}

function replay({ snapshot, entries }: RecoveredLog): Replayed {
  const state = new AgreedState();
  const map = new MapState();
  if (snapshot !== undefined) map.install(state.restore(snapshot.meta, snapshot.bytes));
  for (const entry of entries) {
    if (entry.index <= state.appliedIndex) continue;
    const applied = state.apply(entry);
    if (applied.kind !== 'shard') continue;
    const command = decodeShardCommand(applied.bytes, map.active);
    if (!(command instanceof DecodeError)) map.apply(entry.index, entry.term, command);
  }
  return { state, map };
}

function readings({ commitHint, snapshot }: RecoveredLog, { state, map }: Replayed): RecoveredState {
  const { appliedIndex: index, appliedTerm: term, founding, configuration } = state;
  const known = Math.max(commitHint, snapshot?.meta.lastLog.index ?? NO_INDEX);
  const uncertain = Math.max(0, index - known);
  return { last: { index, term }, uncertain, founding, configuration, shardMapVersion: map.activeVersion };
}
