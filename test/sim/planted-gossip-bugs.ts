/** Bugs of gossip that its own simulator must find. */
import type { PlantedBug } from './planted-bugs.ts';

export const GOSSIP_BUGS: readonly PlantedBug[] = [
  {
    name: 'G-2: an alive claim of the same incarnation is believed',
    by: 'gossip',
    file: 'src/swim/claim.js',
    rule: 'return claim.incarnation > held.incarnation;',
    broken: 'return claim.incarnation >= held.incarnation;',
    foundBy: /refutation|incarnation|joined while/,
    seeds: 20,
  },
  {
    name: 'G-4: nobody refutes',
    by: 'gossip',
    file: 'src/swim/membership.js',
    rule: 'this.#incarnation = Math.max(this.#incarnation, accusedIncarnation) + 1;',
    broken: 'if (accusedIncarnation >= 0) return;',
    foundBy: /./,
    seeds: 20,
  },
  {
    name: 'G-5: confirmations do not shorten a suspicion',
    by: 'gossip',
    file: 'src/swim/suspicion.js',
    rule: 'return this.#startedAt + suspicionTimeoutMs(this.#span, this.#confirmations);',
    broken: 'return this.#startedAt + suspicionTimeoutMs(this.#span, 0);',
    foundBy: /G-5: not all know/,
    seeds: 20,
  },
  {
    name: 'a dead member is forgotten at once',
    by: 'gossip',
    file: 'src/swim/membership.js',
    rule: 'now - row.changedAt > config.gossipToTheDeadMs',
    broken: 'now > row.changedAt',
    foundBy: /G-5/,
    seeds: 20,
  },
];
