/** Bugs that seeds have found and that were mended, planted again: the schedules of test/scenarios/cluster/ must find them as the seeds did. */
import type { Change } from './planting.ts';

interface OldBug extends Change {
  /** As docs/reliability.md tells of it. */
  readonly name: string;
  readonly foundBy: RegExp;
}

export const OLD_BUGS: readonly OldBug[] = [
  {
    name: 'seed 296: whom an operator asks for keeps learners from their vote when there is no room for one more',
    file: 'src/cluster/autopilot.js',
    rule: 'if (!isLearner && learners.length < LEARNERS_MAX)',
    broken: 'if (!isLearner)',
    foundBy: /^readmissions: /,
  },
  {
    name: 'seed 100198: who asks for a removed voter does not take the removal back',
    file: 'src/cluster/steward.js',
    rule: 'if (isVoter && !(peer !== undefined && replica.state.isExcluded(peer.member))) {',
    broken: 'if (isVoter) {',
    foundBy: /^all again: .* is Joining/,
  },
  {
    name: 'seeds 500000176, 951507491: who has followed a cluster founds another',
    file: 'src/cluster/affiliation.js',
    rule: 'this.#followed = followed;',
    broken: 'this.#followed = undefined;',
    foundBy: /^healing: .* is of another cluster than /,
  },
];
