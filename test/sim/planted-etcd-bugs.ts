/** Bugs of agreement through a standalone etcd. */
import type { PlantedBug } from './planted-bugs.ts';

const HARMED = { hasEtcd: true, voters: 4, clients: 3 } as const;

export const ETCD_BUGS: readonly PlantedBug[] = [
  {
    name: 'C-22: the seat counts from the answer',
    by: 'story',
    play: 'etcd: C-22: answers that come late',
    file: 'src/etcd/seat.js',
    rule: 'const until = sentAt + ',
    broken: 'const until = now + ',
    foundBy: /I-33|SO-1/,
    seeds: 5,
  },
  {
    name: 'C-22: a leader that etcd does not hear goes on',
    by: 'node',
    file: 'src/etcd/seat.js',
    rule: 'return this.#until;',
    broken: 'return this.#until + 2_000;',
    overrides: HARMED,
    foundBy: /I-33|SO-1/,
    seeds: 20,
  },
  {
    name: 'C-22: what a leader writes is not guarded by its seat',
    by: 'node',
    file: 'src/etcd/log-writer.js',
    rule: 'const guards = [{ key: this.#layout.leader, createRevision: this.#term }];',
    broken: 'const guards = [];',
    overrides: { ...HARMED, faults: ['midTurnPause', 'pause'], faultEveryMs: 500 },
    foundBy: /I-5/,
    seeds: 60,
  },
  {
    name: 'a read does not ask how far the log reaches',
    by: 'node',
    file: 'src/etcd/etcd.js',
    rule: 'const index = end === undefined ? undefined : indexIn(end);',
    broken: 'const index = end === undefined ? undefined : this.#commitIndex;',
    overrides: HARMED,
    foundBy: /LOG/,
    seeds: 60,
  },
  {
    name: 'a watch that died in silence is not noticed',
    by: 'node',
    file: 'src/etcd/log-tail.js',
    rule: "answer.kind !== 'range' || this.#lacks(this.#polled)",
    broken: "answer.kind !== 'range'",
    overrides: HARMED,
    foundBy: /not within/,
    seeds: 80,
  },
];
