/** Real Serf agents and funknodes on one link, told nothing of each other but a name: prints as JSON who found whom. */
import { FunknodeProgram } from '../funknode-program.ts';
import { until } from '../peer.ts';
import { SerfAgent } from '../serf-agent.ts';

const FOUND_MS = 45_000;

const agent = (name: string, cluster: string, host: string): Promise<SerfAgent> =>
  SerfAgent.start(name, [`-discover=${cluster}`, '-iface=funk0'], { host, port: 7946 });

const node = (name: string, cluster: string, host: string): Promise<FunknodeProgram> =>
  FunknodeProgram.start(name, ['--bootstrap', '--interface', host, '--serf-discover', cluster], { host, port: 7946 });

async function meet(who: string, peers: readonly (SerfAgent | FunknodeProgram)[], wanted: string): Promise<void> {
  for (const peer of peers) {
    const seen = async (): Promise<string | true> => {
      const statuses = await peer.statuses();
      return statuses === wanted || statuses;
    };
    await until(`${who}: ${peer.name} sees ${wanted}`, seen, FOUND_MS);
  }
}

const running: (SerfAgent | FunknodeProgram)[] = [];
try {
  // The agent has asked before we are there, and asks again a minute later: it is we who find it.
  const s1 = await agent('s1', 'first', '10.77.0.1');
  running.push(s1);
  const f1 = await node('f1', 'first', '10.77.0.2');
  running.push(f1);
  await meet('a node that comes later', [s1, f1], 'f1:alive s1:alive');

  // An agent that comes later asks at once, and joins whom it found.
  const f2 = await node('f2', 'second', '10.77.0.3');
  running.push(f2);
  const s2 = await agent('s2', 'second', '10.77.0.4');
  running.push(s2);
  await meet('an agent that comes later', [f2, s2], 'f2:alive s2:alive');
  const found = (): readonly string[] => s2.log.split('\n').filter((line) => /joining: .*10\.77\.0\.3:7946/.test(line));
  await until('the agent joins whom it found', () => found().length > 0 || s2.log, FOUND_MS);
  process.stdout.write(JSON.stringify({ foundByAgent: found().length }));
} finally {
  await Promise.all(running.map((peer) => peer.kill()));
}
