/** Requests to the coordination state at whole nodes on a simulated network: raft.md 6.3 to 6.5 and 7. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { utf8 } from '../../src/base/bytes.ts';
import type { KvAnswer, KvConsistency, KvRequest, SessionMark } from '../../src/model/kv.ts';
import { encodeKvItem } from '../../src/wire/kv/batch.ts';
import { KV_REQUEST_BYTES_MAX } from '../../src/wire/kv/limits.ts';
import { decodePeerFrame, encodePeerFrame, type PeerMessage } from '../../src/wire/peer/peer-message.ts';
import { missing, missingVoters } from '../sim/health.ts';
import { quietOptions } from '../sim/options.ts';
import { type Machine, Simulation } from '../sim/simulation.ts';
import { mustBecome } from '../sim/swarm.ts';
import { Trace } from '../sim/trace.ts';

function cluster(seed: number, { nonVoters = 0 } = {}): Simulation {
  const simulation = new Simulation(quietOptions(seed, { voters: 3, nonVoters }), new Trace());
  for (let i = 0; i < 3; i++) simulation.addMachine('voter');
  for (let i = 0; i < nonVoters; i++) simulation.addMachine('non-voter');
  for (const machine of simulation.machines) simulation.start(machine);
  mustBecome(simulation, 'being whole', () => missing(simulation), 60_000);
  mustBecome(simulation, 'voters', () => missingVoters(simulation), 60_000);
  simulation.run(500);
  return simulation;
}

function put(key: string, value: string, session?: SessionMark): KvRequest {
  return { kind: 'mutate', mutation: { kind: 'put', key: utf8(key), value: utf8(value), prevKv: false }, session };
}

function get(key: string, consistency: KvConsistency = 'linearizable'): KvRequest {
  const query = { key: utf8(key), rangeEnd: new Uint8Array(), limit: 0, keysOnly: false, countOnly: false };
  return { kind: 'read', query, consistency };
}

function ask(simulation: Simulation, machine: Machine, request: KvRequest, withinMs = 10_000): KvAnswer {
  let answer: KvAnswer | undefined;
  machine.process?.askKv(request, (heard) => {
    answer = heard;
  });
  mustBecome(simulation, 'an answer', () => (answer === undefined ? 'nothing was heard' : undefined), withinMs);
  return answer as unknown as KvAnswer;
}

function valueIn(answer: KvAnswer): string | undefined {
  assert(
    answer.kind === 'reply' && answer.reply.kind === 'done' && answer.reply.result.kind === 'range',
    JSON.stringify(answer),
  );
  const [kv] = answer.reply.result.kvs;
  return kv === undefined ? undefined : Buffer.from(kv.value).toString();
}

function verdict(answer: KvAnswer): string {
  if (answer.kind === 'reply') return answer.reply.kind === 'done' ? 'done' : answer.reply.code;
  return answer.kind === 'refused' ? answer.code : 'unknown';
}

const leaderOf = (simulation: Simulation): Machine => {
  const leader = simulation.leader();
  assert(leader !== undefined);
  return leader;
};

describe('requests to the coordination state', () => {
  it('may be asked of any node, and every node reads what was answered', () => {
    const simulation = cluster(11, { nonVoters: 2 });
    let revision = 1;
    for (const [at, machine] of simulation.machines.entries()) {
      const answer = ask(simulation, machine, put('a', `${at}`));
      revision += 1;
      assert(answer.kind === 'reply' && answer.reply.kind === 'done');
      assert.equal(answer.reply.revision, revision);
      for (const other of simulation.machines) assert.equal(valueIn(ask(simulation, other, get('a'))), `${at}`);
    }
    simulation.run(500);
    for (const machine of simulation.machines)
      assert.equal(valueIn(ask(simulation, machine, get('a', 'stale'))), `${simulation.machines.length - 1}`);
  });

  it('of one turn share an entry and a read index', () => {
    const simulation = cluster(12);
    const leader = leaderOf(simulation);
    const before = leader.process?.cluster.stats();
    let answers = 0;
    for (let i = 0; i < 50; i++) {
      leader.process?.askKv(put(`k${i}`, 'v'), () => answers++);
      leader.process?.askKv(get(`k${i}`), () => answers++);
    }
    mustBecome(simulation, 'answers', () => (answers === 100 ? undefined : `${answers}`), 5_000);
    const after = leader.process?.cluster.stats();
    assert.equal((after?.kv.proposed ?? 0) - (before?.kv.proposed ?? 0), 50);
    assert.equal((after?.kv.batches ?? 0) - (before?.kv.batches ?? 0), 1);
    assert.equal((after?.raft?.lastIndex ?? 0) - (before?.raft?.lastIndex ?? 0), 1);
  });

  it('wait for a leader, and are refused when none comes: nothing of them was in any log', () => {
    const simulation = cluster(13);
    const leader = leaderOf(simulation);
    const [first, second] = simulation.machines.filter((machine) => machine !== leader) as [Machine, Machine];
    simulation.crash(leader, 'killed');
    simulation.run(50);
    // What was sent to the dead leader is unknown; a read is asked again of whoever wins.
    assert.equal(verdict(ask(simulation, first, put('a', '0'))), 'unknown');
    assert.equal(valueIn(ask(simulation, first, get('a'))), undefined);
    assert.equal(verdict(ask(simulation, first, put('a', '1'))), 'done');
    simulation.crash(second, 'killed');
    simulation.run(2_000);
    assert.equal(verdict(ask(simulation, first, put('a', '2'))), 'NO_LEADER');
    assert.equal(verdict(ask(simulation, first, get('a'))), 'NO_LEADER');
    assert.equal(valueIn(ask(simulation, first, get('a', 'stale'))), '1');
  });

  it('end as unknown when their leader is cut off with them in its log, and as exactly one thing each', () => {
    const simulation = cluster(14);
    const leader = leaderOf(simulation);
    const others = simulation.machines.filter((machine) => machine !== leader);
    for (const other of others) simulation.crash(other, 'poweredOff');
    const answers: string[] = [];
    for (let i = 0; i < 5; i++) leader.process?.askKv(put('a', `${i}`), (answer) => answers.push(verdict(answer)));
    mustBecome(simulation, 'answers', () => (answers.length === 5 ? undefined : 'some lack'), 10_000);
    assert.deepEqual(
      answers,
      Array.from({ length: 5 }, () => 'unknown'),
    );
    simulation.run(5_000);
    assert.equal(answers.length, 5);
  });

  it('P-48: a leader that was cut off serves no read any more', () => {
    const simulation = cluster(15);
    const leader = leaderOf(simulation);
    assert.equal(verdict(ask(simulation, leader, put('a', 'old'))), 'done');
    for (const other of simulation.machines) if (other !== leader) simulation.crash(other, 'poweredOff');
    assert.equal(verdict(ask(simulation, leader, get('a'))), 'NO_LEADER');
  });

  it('are refused at once when they are too large, or too many wait', () => {
    const simulation = cluster(16);
    const leader = leaderOf(simulation);
    assert.equal(verdict(ask(simulation, leader, put('a', 'x'.repeat(KV_REQUEST_BYTES_MAX)))), 'TOO_LARGE');
    const counts = new Map<string, number>();
    for (let i = 0; i < 6_000; i++)
      leader.process?.askKv(put('a', `${i}`), (answer) =>
        counts.set(verdict(answer), (counts.get(verdict(answer)) ?? 0) + 1),
      );
    const total = (): number => [...counts.values()].reduce((sum, count) => sum + count, 0);
    mustBecome(simulation, 'answers', () => (total() === 6_000 ? undefined : `${total()}`), 10_000);
    assert.deepEqual([...counts].sort(), [
      ['BUSY', 1_000],
      ['done', 5_000],
    ]);
  });

  it('I-23: under a session take effect once, by whichever node they are tried', () => {
    const simulation = cluster(17, { nonVoters: 1 });
    const opened = ask(simulation, simulation.machines[3] as Machine, { kind: 'openSession' });
    assert(opened.kind === 'reply' && opened.reply.kind === 'done' && opened.reply.result.kind === 'session');
    const { session } = opened.reply.result;
    for (const machine of simulation.machines)
      assert.equal(verdict(ask(simulation, machine, put('a', '1', { session, seq: 1, ackedBelow: 1 }))), 'done');
    const answer = ask(simulation, simulation.machines[0] as Machine, get('a'));
    assert(answer.kind === 'reply' && answer.reply.kind === 'done' && answer.reply.result.kind === 'range');
    assert.equal(answer.reply.result.kvs[0]?.version, 1);
    // And after a restart of all, which keeps the sessions.
    for (const machine of simulation.machines) simulation.crash(machine, 'killed');
    simulation.run(1_000);
    for (const machine of simulation.machines) simulation.start(machine);
    mustBecome(simulation, 'being whole', () => missing(simulation), 60_000);
    const again = put('a', '1', { session, seq: 1, ackedBelow: 1 });
    assert.equal(verdict(ask(simulation, simulation.machines[1] as Machine, again)), 'done');
    assert.equal(
      verdict(ask(simulation, simulation.machines[1] as Machine, { kind: 'closeSession', session })),
      'done',
    );
    assert.equal(verdict(ask(simulation, simulation.machines[2] as Machine, again)), 'SESSION_EXPIRED');
  });
});

describe('frames with requests', () => {
  const frame = (message: PeerMessage): Uint8Array =>
    encodePeerFrame({
      clusterId: undefined,
      from: 'a@0000000000000000' as never,
      to: 'b@0000000000000000' as never,
      message,
    });

  it('are read as they were written, and not when a peer would end the sessions of others', () => {
    const item = encodeKvItem(put('a', '1') as Extract<KvRequest, { kind: 'mutate' }>);
    const read = get('b') as Extract<KvRequest, { kind: 'read' }>;
    const message: PeerMessage = {
      kind: 'kvAsk',
      hops: 1,
      asks: [
        { id: 7, request: { kind: 'item', item } },
        { id: 8, request: read },
      ],
    };
    assert.deepEqual(decodePeerFrame(frame(message)).message, message);
    const expiry = encodeKvItem({ kind: 'expireSessions', term: 1, idleMs: 0 });
    const hostile: PeerMessage = { kind: 'kvAsk', hops: 1, asks: [{ id: 1, request: { kind: 'item', item: expiry } }] };
    assert.throws(() => decodePeerFrame(frame(hostile)), /expires no sessions/);
  });
});
