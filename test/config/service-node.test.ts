/** Service nodes and seeds: what is made of their settings. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readArguments } from '../../cmd/funknode/arguments.ts';
import { liveText, LiveView } from '../../cmd/funknode/live-view.ts';
import { gatherSettings, resolveSettings } from '../../cmd/funknode/settings.ts';
import { ConfigError, type NodeConfig, type NodeOptions, resolveNodeConfig } from '../../src/node-config.ts';
import { emptyDirectoryProblem } from '../../src/node-config/config-error.ts';
import { idPrefixOf, seedConfig, seedProblems } from '../../src/node-config/service-node.ts';
import { FakeNodeHandle, fakeView } from '../fake-node-handle.ts';

function configOf(options: NodeOptions): NodeConfig {
  return resolveNodeConfig({ interface: '127.0.0.1', ...options });
}

function argumentsOf(line: string): ReturnType<typeof readArguments> {
  return readArguments(line.split(' '), '0.0.0');
}

function seedOf(line: string): NodeConfig {
  const { flags } = argumentsOf(line);
  const settings = gatherSettings({ flags, environment: {}, file: undefined });
  return seedConfig(resolveSettings(settings), { keepsSnapshot: true });
}

describe('a service node', () => {
  it('is a non-member unless told otherwise, and then refused', () => {
    const config = configOf({ serviceName: 'shop' });
    assert.deepEqual([config.kind, config.serviceName, config.wantsShards], ['non-member', 'shop', false]);
    assert.equal(configOf({ serviceName: 'shop', role: 'non-member' }).kind, 'non-member');
    assert.throws(() => configOf({ serviceName: 'shop', role: 'voter' }), ConfigError);
    assert.throws(() => configOf({ serviceName: 'no name' }), ConfigError);
  });

  it('opens neither Raft nor liveness, and has an id of its own kind', () => {
    const config = configOf({ serviceName: 'shop' });
    assert.deepEqual([...config.doors].sort(), ['http', 'management', 'serf']);
    assert.equal(idPrefixOf(config), 'svc_');
    assert.deepEqual([configOf({}).doors.size, idPrefixOf(configOf({}))], [5, '']);
  });

  it('counts its longer id where one mDNS name must hold everything', () => {
    const clusterName = 'c'.repeat(40);
    assert.equal(configOf({ clusterName }).clusterName, clusterName);
    assert.throws(() => configOf({ clusterName, serviceName: 'shop' }), /a random node id \(20\)/);
  });
});

describe('a seed', () => {
  it('takes the flags of clusterfunk’s, and gossips only', () => {
    const config = seedOf(
      'seed --cluster-name x --zero-conf --node-id s1 --serf-port 7000 --serf-join-address a:1 --serf-snapshot-path f',
    );
    assert.deepEqual(
      [
        config.clusterName,
        config.zeroconf,
        config.nodeId,
        config.join,
        config.snapshot,
        config.serviceName,
        config.kind,
      ],
      ['x', true, 's1', ['a:1'], 'f', 'seed', 'non-member'],
    );
    assert.deepEqual([[...config.doors], config.endpoints.serf.bind.port], [['serf'], 7_000]);
    assert.equal(config.rejoinAfterLeave, true);
    assert.deepEqual([...seedOf('seed --http=127.0.0.1:80').doors], ['serf', 'http']);
  });

  it('may begin alone', () => {
    assert.equal(emptyDirectoryProblem(seedOf('seed')), undefined);
    assert.match(emptyDirectoryProblem(configOf({ serviceName: 'shop' })) ?? '', /needs a cluster to follow/);
  });

  it('refuses settings that it has no use for, by the name under which they were given', () => {
    const problems = seedProblems(new Map([['voters', '--voters'] as const, ['nodeId', '--node-id'] as const]));
    assert.deepEqual(problems, ['--voters: a seed only gossips, and has no use for it']);
  });

  it('has switches that a node has not', () => {
    assert.deepEqual(argumentsOf('seed --live-view --show-all-nodes=true').seed, {
      liveView: true,
      showAllNodes: true,
    });
    assert.deepEqual(argumentsOf('seed --live-view=false').seed, { liveView: false, showAllNodes: false });
    assert.match(argumentsOf('run --live-view').unknown[0] ?? '', /are for funknode seed/);
    assert.match(argumentsOf('run --http :1').unknown[0] ?? '', /--http: there is no such option/);
  });
});

describe('the live view', () => {
  const members = [
    { name: 'n1' },
    { name: 'n2', status: 'failed' as const },
    { name: 'n3', tags: { 'meta.serviceName': 'evil\u001b[2J' } },
  ];
  const view = fakeView({ id: 'n1', members });

  it('shows who is there, those who are gone if asked, and no control character of theirs', () => {
    const there = liveText({ view, now: 70_000 }, { showsAll: false, rowsMax: 10 });
    assert.match(there, /^n1 of demo: 2 there, 3 known\n\nNODE {2}STATE {2}SERVICE .*KNOWN\nn1 .* 60s\nn3 /);
    assert.doesNotMatch(there, /n2|\u001b/);
    assert.match(liveText({ view, now: 70_000 }, { showsAll: true, rowsMax: 10 }), /n2 {4}failed/);
  });

  it('fits the screen', () => {
    assert.match(liveText({ view, now: 1 }, { showsAll: true, rowsMax: 1 }), /\nand 2 more\n$/);
  });

  it('draws after a burst once, and where there is no terminal only what is new', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
    const handle = new FakeNodeHandle(view);
    const written: string[] = [];
    const shown = new LiveView(handle, { write: (text) => written.push(text) }, { showsAll: false });
    shown.start();
    for (let event = 0; event < 5; event++) handle.emit({ kind: 'leaseGained' });
    t.mock.timers.tick(1_000);
    assert.equal(written.length, 1);
    handle.change(fakeView({ id: 'n1', members: [{ name: 'n1' }] }));
    for (let event = 0; event < 5; event++) handle.emit({ kind: 'leaseGained' });
    t.mock.timers.tick(1_000);
    assert.equal(written.length, 2);
    shown.stop();
    assert.equal(handle.listenerCount, 0);
  });
});
