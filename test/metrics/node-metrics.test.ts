import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import type { ClusterId, LogIndex, NodeId } from '../../src/model/ids.ts';
import { FakeNodeHandle, fakeMember, fakeShardMap, fakeView } from '../fake-node-handle.ts';
import { peerOrSkip } from '../peers/peer.ts';
import { countingStats, sampleMetrics, sampleNode, waitForQuorum } from './sample-node.ts';

/** Sample lines by series, comments left out. */
function series(body: string): Map<string, string> {
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)]));
}

async function scrape(handle: FakeNodeHandle): Promise<Map<string, string>> {
  const metrics = sampleMetrics(handle);
  const { body } = await metrics.render('text');
  metrics.close();
  return series(body);
}

/** From the family's name to the field it must show: a wrong wire would show another number. */
const FIELDS: Readonly<Record<string, (stats: ReturnType<typeof countingStats>) => number | undefined>> = {
  'funknode_swim_members{state="alive"}': ({ swim }) => swim.membersAlive,
  'funknode_swim_members{state="suspect"}': ({ swim }) => swim.membersSuspect,
  'funknode_swim_members{state="dead"}': ({ swim }) => swim.membersDead,
  'funknode_swim_members{state="left"}': ({ swim }) => swim.membersLeft,
  funknode_swim_health_score: ({ swim }) => swim.healthScore,
  funknode_swim_incarnation: ({ swim }) => swim.incarnation,
  funknode_swim_probes_total: ({ swim }) => swim.probes,
  funknode_swim_probe_failures_total: ({ swim }) => swim.probesFailed,
  funknode_swim_indirect_probes_total: ({ swim }) => swim.indirectProbes,
  funknode_swim_suspicions_total: ({ swim }) => swim.suspicions,
  funknode_swim_refutations_total: ({ swim }) => swim.refutations,
  funknode_swim_push_pulls_total: ({ swim }) => swim.pushPulls,
  funknode_swim_push_pull_failures_total: ({ swim }) => swim.pushPullsFailed,
  funknode_swim_packets_sent_total: ({ swim }) => swim.packetsSent,
  funknode_swim_packets_received_total: ({ swim }) => swim.packetsReceived,
  funknode_swim_sent_bytes_total: ({ swim }) => swim.bytesSent,
  funknode_swim_received_bytes_total: ({ swim }) => swim.bytesReceived,
  funknode_swim_streams_opened_total: ({ swim }) => swim.streamsOpened,
  funknode_swim_broadcasts_queued: ({ swim }) => swim.broadcastsQueued,
  'funknode_swim_dropped_total{reason="badMessage"}': ({ swim }) => swim.dropped['badMessage'],
  funknode_serf_member_clock: ({ serf }) => serf.memberClock,
  funknode_serf_event_clock: ({ serf }) => serf.eventClock,
  funknode_serf_query_clock: ({ serf }) => serf.queryClock,
  funknode_serf_intents_queued: ({ serf }) => serf.intentsQueued,
  funknode_raft_term: ({ raft }) => raft?.term,
  funknode_raft_is_leader: () => 1,
  funknode_raft_commit_index: ({ raft }) => raft?.commitIndex,
  funknode_raft_applied_index: ({ raft }) => raft?.appliedIndex,
  funknode_raft_last_index: ({ raft }) => raft?.lastIndex,
  funknode_raft_durable_index: ({ raft }) => raft?.durableIndex,
  funknode_raft_snapshot_index: ({ raft }) => raft?.snapshotIndex,
  funknode_raft_log_bytes: ({ raft }) => raft?.logBytes,
  funknode_raft_voters: ({ raft }) => raft?.voters,
  funknode_raft_learners: ({ raft }) => raft?.learners,
  funknode_raft_elections_started_total: ({ raft }) => raft?.electionsStarted,
  funknode_raft_elections_won_total: ({ raft }) => raft?.electionsWon,
  funknode_raft_step_downs_total: ({ raft }) => raft?.stepDowns,
  funknode_raft_messages_sent_total: ({ raft }) => raft?.messagesSent,
  funknode_raft_messages_received_total: ({ raft }) => raft?.messagesReceived,
  funknode_raft_messages_dropped_total: ({ raft }) => raft?.messagesDropped,
  funknode_raft_proposals_total: ({ raft }) => raft?.proposals,
  funknode_raft_proposals_refused_total: ({ raft }) => raft?.proposalsRefused,
  'funknode_raft_follower_lag_entries{peer="n3"}': ({ raft }) => raft?.lag['n3'],
  funknode_sharding_shards: ({ sharding }) => sharding.shardCount,
  funknode_sharding_shards_owned: ({ sharding }) => sharding.shardsOwned,
  funknode_sharding_shards_loading: ({ sharding }) => sharding.shardsLoading,
  funknode_sharding_states_sent_total: ({ sharding }) => sharding.statesSent,
  funknode_sharding_states_arrived_total: ({ sharding }) => sharding.statesArrived,
  funknode_sharding_states_delivered_total: ({ sharding }) => sharding.statesDelivered,
  funknode_sharding_states_dropped_total: ({ sharding }) => sharding.statesDropped,
  funknode_sharding_map_version: ({ sharding }) => sharding.mapVersion,
  funknode_sharding_map_committed_index: ({ sharding }) => sharding.mapCommittedAt,
  funknode_sharding_proposals_total: ({ sharding }) => sharding.proposals,
  funknode_sharding_commits_total: ({ sharding }) => sharding.commits,
  funknode_sharding_proposals_voided_total: ({ sharding }) => sharding.proposalsVoided,
  funknode_sharding_shards_moved_total: ({ sharding }) => sharding.shardsMoved,
  funknode_sharding_grants_given_total: ({ sharding }) => sharding.grantsGiven,
  funknode_sharding_grants_refused_total: ({ sharding }) => sharding.grantsRefused,
  funknode_sharding_renewals_sent_total: ({ sharding }) => sharding.renewalsSent,
  funknode_sharding_lease_losses_total: ({ sharding }) => sharding.leaseLosses,
  funknode_sharding_holders_gone_total: ({ sharding }) => sharding.holdersGone,
  funknode_sharding_acknowledgements_overdue_total: ({ sharding }) => sharding.acknowledgementsOverdue,
  'funknode_liveness_peers{state="alive"}': ({ liveness }) => liveness.alive,
  'funknode_liveness_peers{state="dead"}': ({ liveness }) => liveness.watched - liveness.alive,
  funknode_liveness_checks_sent_total: ({ liveness }) => liveness.checksSent,
  funknode_liveness_echoes_received_total: ({ liveness }) => liveness.echoesReceived,
  funknode_liveness_deaths_total: ({ liveness }) => liveness.deaths,
  funknode_liveness_dropped_total: ({ liveness }) => liveness.dropped,
  funknode_storage_batches_total: ({ storage }) => storage?.batches,
  funknode_storage_written_bytes_total: ({ storage }) => storage?.bytesWritten,
  funknode_storage_snapshots_total: ({ storage }) => storage?.snapshots,
  funknode_peers_links: ({ peers }) => peers.links,
  funknode_peers_messages_sent_total: ({ peers }) => peers.messagesSent,
  funknode_peers_messages_received_total: ({ peers }) => peers.messagesReceived,
  funknode_peers_messages_dropped_total: ({ peers }) => peers.messagesDropped,
  funknode_peers_sent_bytes_total: ({ peers }) => peers.bytesSent,
  funknode_peers_received_bytes_total: ({ peers }) => peers.bytesReceived,
  funknode_peers_reconnects_total: ({ peers }) => peers.reconnects,
  'funknode_peers_connections_total{outcome="accepted"}': ({ peers }) => peers.connectionsAccepted,
  'funknode_peers_connections_total{outcome="refused"}': ({ peers }) => peers.connectionsRefused,
  'funknode_peers_connections_total{outcome="malformed"}': ({ peers }) => peers.connectionsMalformed,
  funknode_loop_turns_total: ({ loop }) => loop.turns,
  funknode_loop_inputs_total: ({ loop }) => loop.inputs,
  funknode_loop_inbox_dropped_total: ({ loop }) => loop.inboxDropped,
  funknode_loop_delay_p99_seconds: ({ loop }) => loop.delayP99Ms / 1_000,
};

describe('metrics: what a scrape says', () => {
  it('each number of the node is told under its own name', async () => {
    const told = await scrape(sampleNode());
    const stats = countingStats();
    for (const [name, field] of Object.entries(FIELDS)) assert.equal(told.get(name), String(field(stats)), name);
  });

  it('a scrape reads the node as it is then, and counters may be read any number of times', async () => {
    const handle = sampleNode();
    const metrics = sampleMetrics(handle);
    await metrics.render('text');
    const stats = countingStats();
    handle.setStats({ swim: { ...stats.swim, probes: 1_000, dropped: {} } });
    for (let i = 0; i < 3; i++) {
      const told = series((await metrics.render('text')).body);
      assert.equal(told.get('funknode_swim_probes_total'), '1000');
      assert.equal(told.has('funknode_swim_dropped_total{reason="badMessage"}'), false);
    }
    metrics.close();
  });

  it('exactly one state and one role is 1', async () => {
    const told = await scrape(sampleNode());
    const ones = [...told].filter(([name, value]) => /^funknode_node_(state|role)\{/.test(name) && value === '1');
    assert.deepEqual(
      ones.map(([name]) => name),
      ['funknode_node_state{state="Operational"}', 'funknode_node_role{role="Leader"}'],
    );
    assert.equal([...told.keys()].filter((name) => name.startsWith('funknode_node_state{')).length, 8);
  });

  it('a node that waits says for what and for how long', async () => {
    const handle = sampleNode();
    waitForQuorum(handle);
    const told = await scrape(handle);
    assert.equal(told.get('funknode_node_waiting{reason="quorum"}'), '1');
    assert.equal(told.get('funknode_node_waiting{reason="leader"}'), '0');
    assert.equal(told.get('funknode_node_waiting_seconds'), '4');
    assert.equal(told.get('funknode_node_leader_known'), '0');
  });

  it('a node without a log and a disk has no samples of them, and no zeros either', async () => {
    const handle = sampleNode();
    handle.setStats({ raft: undefined, storage: undefined });
    handle.change({ clusterCreatedMs: undefined, clusterId: undefined });
    const names = [...(await scrape(handle)).keys()];
    assert.deepEqual(
      names.filter((name) => /^funknode_(raft|storage)_|cluster_created/.test(name)),
      [],
    );
    assert.ok(names.includes('funknode_node_info{node="n1",cluster="demo",cluster_id="",kind="voter"}'));
  });

  it('of the process itself, lag is measured at the scrape, and nothing is sampled by a timer of its own', async () => {
    const names = [...(await scrape(sampleNode())).keys()];
    assert.ok(names.some((name) => name.startsWith('process_cpu_seconds_total')));
    assert.deepEqual(
      names.filter((name) => name.startsWith('nodejs_eventloop_lag')),
      ['nodejs_eventloop_lag_seconds'],
    );
  });

  it('a number that is none spoils its own family only', async () => {
    const handle = sampleNode();
    const stats = countingStats();
    handle.setStats({ loop: { ...stats.loop, delayP99Ms: Number.NaN, inputs: Number.NaN } });
    const told = await scrape(handle);
    assert.equal(told.has('funknode_loop_delay_p99_seconds'), false);
    assert.equal(told.has('funknode_loop_inputs_total'), false);
    assert.equal(told.get('funknode_loop_turns_total'), '1');
  });

  it('the disk histogram is cumulative, in seconds, and ends in infinity', async () => {
    const told = await scrape(sampleNode());
    const name = 'funknode_storage_sync_duration_seconds';
    assert.deepEqual(
      [...told].filter(([key]) => key.startsWith(name)),
      [
        [`${name}_bucket{le="0.001"}`, '2'],
        [`${name}_bucket{le="0.01"}`, '4'],
        [`${name}_bucket{le="+Inf"}`, '5'],
        [`${name}_sum`, '0.003'],
        [`${name}_count`, '5'],
      ],
    );
  });

  it('reasons and peers beyond their bound become one label value', async () => {
    const handle = sampleNode();
    const stats = countingStats();
    const dropped = Object.fromEntries(Array.from({ length: 500 }, (_, at) => [`reason${at}`, 1]));
    handle.setStats({ swim: { ...stats.swim, dropped } });
    const told = [...(await scrape(handle))].filter(([name]) => name.startsWith('funknode_swim_dropped_total'));
    assert.equal(told.length, 49);
    assert.deepEqual(told.at(-1), ['funknode_swim_dropped_total{reason="other"}', '452']);
  });

  it('names from outside cannot break out of a label', async () => {
    const handle = sampleNode();
    handle.change({ clusterName: 'a"} 1\nb\\' });
    const metrics = sampleMetrics(handle);
    const { body } = await metrics.render('text');
    metrics.close();
    assert.ok(body.includes('cluster="a\\"} 1\\nb\\\\"'));
  });
});

describe('metrics: what only events tell', () => {
  it('time in states, entries into them, and the length of a resharding', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1', state: 'Joining' }));
    const metrics = sampleMetrics(handle);
    handle.monotonicMs += 2_000;
    handle.enter('Resharding');
    handle.emit({ kind: 'shardMapProposed', version: 60 as LogIndex });
    handle.monotonicMs += 30;
    handle.emit({ kind: 'shardMapProposed', version: 61 as LogIndex });
    handle.monotonicMs += 50;
    handle.emit({ kind: 'shardMapChanged', map: fakeShardMap(['n1'], 10, 61) });
    handle.enter('Operational');
    handle.monotonicMs += 5_000;
    const told = series((await metrics.render('text')).body);
    assert.equal(told.get('funknode_node_state_seconds_total{state="Joining"}'), '2');
    assert.equal(told.get('funknode_node_state_seconds_total{state="Resharding"}'), '0.08');
    assert.equal(told.get('funknode_node_state_seconds_total{state="Operational"}'), '5');
    assert.equal(told.get('funknode_node_state_entries_total{state="Operational"}'), '1');
    assert.equal(told.get('funknode_node_state_age_seconds'), '5');
    assert.equal(told.get('funknode_node_uptime_seconds'), '7.08');
    assert.equal(told.get('funknode_sharding_reshard_duration_seconds_bucket{le="0.05"}'), '0');
    assert.equal(told.get('funknode_sharding_reshard_duration_seconds_bucket{le="0.1"}'), '1');
    assert.equal(told.get('funknode_sharding_reshard_duration_seconds_sum'), '0.08');
    metrics.close();
    assert.equal(handle.listenerCount, 0);
  });

  it('a member that fails and is back within a minute flaps; a later return is none', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const metrics = sampleMetrics(handle);
    const member = fakeMember({ name: 'n2' });
    for (const awayMs of [59_000, 61_000]) {
      handle.emit({ kind: 'memberFailed', member });
      handle.monotonicMs += awayMs;
      handle.emit({ kind: 'memberJoined', member });
    }
    const told = series((await metrics.render('text')).body);
    assert.equal(told.get('funknode_serf_member_flaps_total'), '1');
    metrics.close();
  });

  it('two clusters of one name are counted loudly', async () => {
    const handle = new FakeNodeHandle(fakeView({ id: 'n1' }));
    const metrics = sampleMetrics(handle);
    const [ours, theirs] = ['A'.repeat(22) as ClusterId, 'B'.repeat(22) as ClusterId];
    handle.emit({ kind: 'clusterConflict', ours, theirs, node: 'n9' as NodeId });
    const told = series((await metrics.render('text')).body);
    assert.equal(told.get('funknode_node_events_total{kind="clusterConflict"}'), '1');
    metrics.close();
  });
});

describe('metrics: names and formats', () => {
  it('every family of ours is funknode_<room>_<what>, has a sentence of help, and ends in _total if and only if it counts', async () => {
    const metrics = sampleMetrics();
    const families = await metrics.describe();
    metrics.close();
    const rooms = 'build|node|swim|serf|raft|kv|sharding|liveness|storage|peers|loop|management|discovery|http|routing';
    const name = new RegExp(`^funknode_(${rooms})_[a-z0-9_]+$`);
    const ours = families.filter((family) => !/^(process|nodejs)_/.test(family.name));
    assert.ok(ours.length > 90, `${ours.length} families`);
    for (const family of ours) {
      assert.match(family.name, name);
      assert.match(family.help, /^[A-Zm].{10,}\.$/, family.name);
      assert.ok(!/_ms$|_milliseconds|_kilobytes/.test(family.name), family.name);
    }
    for (const family of families) {
      assert.equal(family.name.endsWith('_total'), family.type === 'counter', `${family.name} is a ${family.type}`);
    }
  });

  it('promtool has nothing to say against the names', (test) => {
    const promtool = peerOrSkip(test, 'promtool');
    if (promtool === undefined) return;
    return sampleMetrics()
      .render('text')
      .then(({ body }) => {
        const checked = spawnSync(promtool, ['check', 'metrics'], { input: body, encoding: 'utf8', timeout: 20_000 });
        assert.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`);
      });
  });

  it('OpenMetrics and plain text say the same, each in its own form, in any order of asking', async () => {
    const metrics = sampleMetrics();
    for (let i = 0; i < 2; i++) {
      const open = await metrics.render('openmetrics');
      const text = await metrics.render('text');
      assert.match(open.contentType, /^application\/openmetrics-text; version=1\.0\.0/);
      assert.match(text.contentType, /^text\/plain; version=0\.0\.4/);
      assert.ok(open.body.endsWith('# EOF\n'));
      assert.ok(open.body.includes('# TYPE funknode_swim_probes counter\nfunknode_swim_probes_total 7\n'));
      assert.ok(text.body.includes('# TYPE funknode_swim_probes_total counter\nfunknode_swim_probes_total 7\n'));
      const ours = (body: string): [string, string][] =>
        [...series(body)].filter(([name]) => name.startsWith('funknode_'));
      assert.deepEqual(ours(open.body), ours(text.body));
    }
    metrics.close();
  });

  it("clusterfunk's five series keep their names and labels, and stay apart", async () => {
    const metrics = sampleMetrics();
    const told = series((await metrics.renderClusterfunk()).body);
    assert.deepEqual(
      [...told],
      [
        ['cf_cluster_cluster_size{node="n1"}', '3'],
        ['cf_cluster_shard_count{node="n1"}', '2'],
        ['cf_cluster_log_index{node="n1"}', '3'],
        ['cf_cluster_requests{node="n1",destination="n2",method="/demo.DemoService/Liff"}', '11'],
        ['cf_cluster_uptime', '90000000000'],
      ],
    );
    assert.equal((await metrics.render('text')).body.includes('cf_cluster'), false);
    metrics.close();
  });
});
