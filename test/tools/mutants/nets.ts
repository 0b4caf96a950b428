/** For each room what its mutants are thrown into: cheap tests first. */

export interface Net {
  /** Step tests and scripts of the room, below `test/`. */
  readonly steps: readonly string[];
  /** Step tests of the room above, which owns this one. */
  readonly neighbours: readonly string[];
  /** Below `dist/`: what these need beside `src/`. */
  readonly folders: readonly string[];
  /** The simulator of this core alone. */
  readonly core: 'raft' | 'sharding' | 'gossip';
}

const FOLDERS: readonly string[] = [
  'test/raft',
  'test/sharding',
  'test/swim',
  'test/cluster',
  'test/sim',
  'test/tools/mutants',
];

const OF_CLUSTER: readonly string[] = [
  'cluster/agreed-state',
  'cluster/holding',
  'cluster/led',
  'cluster/hand-over',
  'cluster/following',
];

export const NETS: Readonly<Record<string, Net>> = {
  raft: {
    steps: [
      'raft/leading',
      'raft/membership',
      'raft/edges',
      'raft/limits',
      'raft/turns',
      'raft/events',
      'raft/disruption',
      'raft/paper',
      'raft/scripts',
      'raft/quorum',
    ],
    neighbours: OF_CLUSTER,
    folders: FOLDERS,
    core: 'raft',
  },
  sharding: {
    steps: [
      'sharding/holder',
      'sharding/leader',
      'sharding/cases',
      'sharding/what-if',
      'sharding/plan-report',
      'sharding/settings-change',
      'sharding/edges',
      'sharding/flapping',
      'sharding/restart-grace',
      'sharding/resizing',
      'sharding/clock-rates',
      'sharding/distribution',
      'sharding/moving',
      'sharding/spread',
    ],
    neighbours: OF_CLUSTER,
    folders: FOLDERS,
    core: 'sharding',
  },
  // Without those that read golden bytes from the sources.
  swim: {
    steps: [
      'swim/broadcast-queue',
      'swim/membership',
      'swim/prober',
      'swim/push-pull',
      'swim/tombstones',
      'swim/last-word',
      'swim/networks',
      'swim/quiet',
      'swim/replay',
    ],
    neighbours: [],
    folders: FOLDERS,
    core: 'gossip',
  },
};
