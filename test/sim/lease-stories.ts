/** Stories of leases that a planted bug would break, for the hunts as well as for every run. */
import { followerOf, form, leaderOf, type Scenario, split, whole } from './scenarios.ts';

export const LEASE_STORIES: readonly Scenario[] = [
  {
    name: 'a leader that slept while another was elected grants nothing to the one who still hears it',
    options: { voters: 5 },
    play: (simulation) => {
      form(simulation);
      const leader = leaderOf(simulation);
      split(simulation, [leader, followerOf(simulation)]);
      leader.process?.pause(300 + simulation.chance.between(0, 400), 'stopped');
      simulation.run(4_000);
      simulation.network.heal();
      return whole(simulation, 'healing', 8_000);
    },
  },
];
