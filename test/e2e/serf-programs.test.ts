/** Real `serf agent`s and real funknode processes in one gossip: whoever joins whom, all see all, and see them come and go. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { skipWithout, until } from '../peers/peer.ts';
import { type AgentMember, SerfAgent } from '../peers/serf-agent.ts';
import { freshClusterName, IS_LONG, isOfStrangers, type NodeProcess, Scratch, settled } from './node-process.ts';

/** Together without a word of trouble. */
const QUIET_MS = IS_LONG ? 600_000 : 15_000;
/**
 * LAN timing: a death is believed some ten seconds later, after 24 s of suspicion at the latest. An agent believes in a dead node's new address when it
 * has forgotten the old one, half a minute later, and hears of the new one by the push/pull after that.
 */
const FAILURE_MS = 150_000;

/** Nodes and agents of one test; all are gone at its end. */
class Company implements AsyncDisposable {
  readonly cluster: string = freshClusterName();
  readonly nodes: Map<string, NodeProcess> = new Map();
  readonly agents: Map<string, SerfAgent> = new Map();
  readonly #scratch: Scratch = new Scratch();

  startNode(id: string, args: readonly string[]): NodeProcess {
    const node = this.#scratch.start({ id, cluster: this.cluster, args });
    this.nodes.set(id, node);
    return node;
  }

  async startAgent(name: string, args: readonly string[], at?: SerfAgent['address']): Promise<SerfAgent> {
    const agent = await SerfAgent.start(name, args, at);
    this.agents.set(name, agent);
    return agent;
  }

  node(id: string): NodeProcess {
    return this.nodes.get(id) ?? assert.fail(`no node ${id}`);
  }

  agent(name: string): SerfAgent {
    return this.agents.get(name) ?? assert.fail(`no agent ${name}`);
  }

  get voters(): NodeProcess[] {
    return [...this.nodes.values()];
  }

  /** Waits until everybody who runs sees exactly these, `name:status` sorted. Whom gossip missed a push/pull tells, every half minute. */
  async allSee(statuses: string, timeoutMs = 60_000): Promise<void> {
    for (const agent of this.agents.values())
      await until(`${agent.name} sees ${statuses}`, async () => matching(await agent.statuses(), statuses), timeoutMs);
    for (const node of this.voters) {
      const look = async (): Promise<true | string> => {
        const { members } = await (await node.client()).members();
        const seen = members.map(({ name, serfState }) => `${name}:${serfState}`).sort();
        return matching(seen.join(' '), statuses);
      };
      if (node.isRunning) await until(`${node.id} sees ${statuses}`, look, timeoutMs);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.agents.values()].map((agent) => agent.kill()));
    await this.#scratch[Symbol.asyncDispose]();
  }
}

function matching(seen: string, wanted: string): true | string {
  return seen === wanted ? true : seen;
}

async function tagsAt(agent: SerfAgent): Promise<Map<string, AgentMember>> {
  return new Map((await agent.members()).map((member) => [member.name, member]));
}

const TROUBLE = /^(?:memberFailed|memberLeft|dropped|warning)$/;

/** For a while nobody fails, and no agent has anything to complain of. */
async function stayQuiet(company: Company, statuses: string): Promise<void> {
  for (const agent of company.agents.values()) agent.beginQuiet();
  const marks = new Map(company.voters.map((node) => [node, node.lines.length]));
  for (const end = performance.now() + QUIET_MS; performance.now() < end; ) {
    await company.allSee(statuses, 10_000);
    await new Promise((resolve) => setTimeout(resolve, 2_000));
  }
  for (const agent of company.agents.values()) assert.deepEqual(agent.trouble(), [], agent.name);
  for (const [node, mark] of marks)
    assert.deepEqual(
      node.lines.slice(mark).filter((line) => TROUBLE.test(line.event) && !isOfStrangers(line)),
      [],
    );
}

describe('real programs of Serf and ours', { skip: skipWithout('serf'), concurrency: 2 }, () => {
  it('agents join our three, and all see each other leave, die and return', async () => {
    await using company = new Company();
    for (const id of ['n1', 'n2', 'n3']) company.startNode(id, ['--zeroconf']);
    await settled(company.voters, { voters: 3 });
    const first = await company.node('n1').endpoint('ep.serf');
    await company.startAgent('s1', ['-tag', 'role=db', `-join=${first}`]);
    await company.startAgent('s2', ['-tag', 'dc=west', `-join=${await company.node('n2').endpoint('ep.serf')}`]);
    const everybody = 'n1:alive n2:alive n3:alive s1:alive s2:alive';
    await company.allSee(everybody);
    for (const agent of company.agents.values()) {
      const seen = await tagsAt(agent);
      for (const node of company.voters) {
        const { addr, tags } = seen.get(node.id) as AgentMember;
        assert.equal(addr, await node.endpoint('ep.serf'));
        assert.equal(tags['meta.serviceName'], company.cluster);
        assert.equal(tags['fn.role'], 'voter');
        for (const tag of ['ep.raft', 'ep.liveness', 'ep.http', 'ep.clusterfunk.management'] as const)
          assert.equal(tags[tag], await node.endpoint(tag));
      }
    }
    const { members } = await (await company.node('n3').client()).members();
    const tagsOf = (name: string): unknown => members.find((member) => member.name === name)?.tags;
    assert.deepEqual([tagsOf('s1'), tagsOf('s2')], [{ role: 'db' }, { dc: 'west' }]);
    await stayQuiet(company, everybody);

    // Two leave in order, one of each kind, and two die.
    const { address } = company.agent('s2');
    await company.agent('s2').leave();
    company.agents.delete('s2');
    company.node('n3').signal('SIGTERM');
    assert.equal((await company.node('n3').ended).code, 0);
    await company.allSee('n1:alive n2:alive n3:left s1:alive s2:left');
    company.startNode('n3', ['--zeroconf']);
    await company.startAgent('s2', ['-tag', 'dc=east', `-join=${first}`], address);
    await company.allSee(everybody);
    assert.equal((await tagsAt(company.agent('s1'))).get('s2')?.tags['dc'], 'east');

    await company.agent('s2').kill();
    company.agents.delete('s2');
    company.node('n3').signal('SIGKILL');
    await company.node('n3').ended;
    await company.allSee('n1:alive n2:alive n3:failed s1:alive s2:failed', FAILURE_MS);
    company.startNode('n3', ['--zeroconf']);
    await company.startAgent('s2', [`-join=${first}`], address);
    await company.allSee(everybody, FAILURE_MS);
    await settled(company.voters, { voters: 3 });
  });

  it('ours join a cluster of agents and become a cluster of their own in it', async () => {
    await using company = new Company();
    const first = await company.startAgent('s1', []);
    const { host, port } = first.address;
    await company.startAgent('s2', [`-join=${host}:${port}`]);
    const join = ['--bootstrap-expect', '3', '--join', `${host}:${port}`];
    for (const id of ['n1', 'n2', 'n3']) company.startNode(id, join);
    await settled(company.voters, { voters: 3 });
    await company.allSee('n1:alive n2:alive n3:alive s1:alive s2:alive');
    const reached = await first.cli('reachability');
    assert.match(reached, /Successfully contacted all live nodes/);
    const { Acks } = JSON.parse(await first.cli('query', '-format=json', '-timeout=2s', 'anybody')) as {
      readonly Acks: readonly string[];
    };
    assert.deepEqual([...Acks].sort(), ['n1', 'n2', 'n3', 's1', 's2']);
    // The only one that they were told of dies: they know the others by now.
    await first.kill();
    company.agents.delete('s1');
    await company.allSee('n1:alive n2:alive n3:alive s1:failed s2:alive', FAILURE_MS);
    await settled(company.voters, { voters: 3 });
  });
});
