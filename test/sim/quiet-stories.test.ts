/** What must not happen in simulated clusters: stories of quiet, and of harm to gossip alone. */
import { describe, it } from 'node:test';
import { QUIET_STORIES } from './quiet-stories.ts';
import { playScenario } from './scenarios.ts';

const SEEDS = process.env['FUNKNODE_LONG'] === '1' ? 30 : 1;

describe('simulated clusters: what must not happen', () => {
  for (const story of QUIET_STORIES)
    it(story.name, () => {
      for (let seed = 1; seed <= SEEDS; seed++) playScenario(story, seed);
    });
});
