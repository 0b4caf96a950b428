/** Profiles and tunables of gossip: from options to what the cores are told, and what they must not be together. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { NodeId, Stamp } from '../../src/model/ids.ts';
import { clusterConfigOf } from '../../src/node-config/cluster-config.ts';
import type { Host } from '../../src/node-config/host-interface.ts';
import { OPTION_KEYS, optionMeta } from '../../src/node-config/option-table.ts';
import { ConfigError, type NodeOptions, resolveNodeConfig } from '../../src/node-config.ts';
import { type SerfConfig, serfConfig, validateSerfConfig } from '../../src/serf/config.ts';
import type { SwimProfile } from '../../src/swim/config.ts';

const HOST: Host = { interfaces: {}, routes: '', stateHome: '/state' };
const START = { startedAt: 0, startedWallMs: 0, hasReleaseHook: false, hasAcquireHook: false, startsLoading: false };
const GOSSIP = { host: '127.0.0.1', port: 7946 };

function serfOf(options: NodeOptions): SerfConfig {
  const config = resolveNodeConfig({ bootstrap: true, ...options }, { host: HOST });
  return clusterConfigOf(config, { nodeId: 'a' as NodeId, stamp: 's' as Stamp }, GOSSIP, START).serf;
}

function problemsOf(options: NodeOptions): readonly string[] {
  try {
    resolveNodeConfig({ bootstrap: true, ...options }, { host: HOST });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.exitCode, 78);
    return error.problems;
  }
}

describe('tunables of gossip', () => {
  it('are those of the profile as long as none is set', () => {
    for (const profile of ['lan', 'wan', 'local'] as const satisfies readonly SwimProfile[])
      assert.deepEqual(serfOf({ profile }), serfConfig({ swim: { name: 'a', advertise: GOSSIP } }, profile));
    assert.equal(serfOf({}).swim.probeIntervalMs, 1_000);
    assert.equal(serfOf({ profile: 'wan' }).swim.suspicionMult, 6);
    assert.equal(serfOf({ profile: 'local' }).swim.probeTimeoutMs, 200);
  });

  it('each reach the core under a setting of their own, and leave the others alone', () => {
    const before = serfOf({});
    const keys = OPTION_KEYS.filter((key) => optionMeta(key).group === 'Gossip' && optionMeta(key).isAdvanced === true);
    assert.equal(keys.length, 38);
    const flat = (config: SerfConfig): ReadonlyMap<string, unknown> =>
      new Map(
        [...Object.entries(config), ...Object.entries(config.swim)].filter(([, value]) => typeof value !== 'object'),
      );
    const reached = new Set<string>();
    for (const key of keys) {
      const { valueName } = optionMeta(key);
      const numeric = valueName === 'duration' ? 999 : valueName === 'bytes' ? 333 : 4;
      const special: Readonly<Record<string, unknown>> = {
        probeTimeout: 499,
        maxQueueDepth: 150,
        suspicionMult: 5,
        tagsSizeLimit: 600,
        retransmitMult: 5,
        udpBufferSize: 1_500,
        eventBuffer: 20,
        queryBuffer: 20,
      };
      const value = valueName === undefined ? key !== 'gossipCompression' : (special[key] ?? numeric);
      const config = serfOf({ [key]: value });
      const changed = [...flat(config)].filter(([name, now]) => flat(before).get(name) !== now).map(([name]) => name);
      const expected = key === 'broadcastTimeout' ? 2 : 1;
      assert.equal(changed.length, expected, `${key} changes ${changed.join(', ')}`);
      for (const name of changed) reached.add(name);
      assert.deepEqual(validateSerfConfig(config), []);
    }
    assert.equal(reached.size, 39);
  });

  it('tell every problem at once, with the names and values that clash', () => {
    assert.deepEqual(problemsOf({ probeTimeout: '2s', gossipNodes: 0, maxQueueDepth: 100, pushPullInterval: '10ms' }), [
      'gossipNodes: 0 is not a whole number from 1 to 64',
      'probeTimeout (2s) must be shorter than probeInterval (1s, of profile lan)',
      'queueDepthWarning (128, of profile lan) must be at most maxQueueDepth (100), or no queue is ever warned of',
      'pushPullInterval (10ms) must be at least gossipInterval (200ms, of profile lan), or 0ms for never',
    ]);
    assert.deepEqual(problemsOf({ profile: 'wan', probeInterval: '3s' }), [
      'probeTimeout (3s, of profile wan) must be shorter than probeInterval (3s)',
    ]);
    assert.deepEqual(problemsOf({ gossipInterval: '10.5ms' }), [
      'gossipInterval: "10.5ms" is not a duration from 5ms to 60s (it has parts of a millisecond)',
    ]);
    assert.deepEqual(problemsOf({ pushPullInterval: '0ms', profile: 'local' }), []);
    assert.deepEqual(problemsOf({ udpBufferSize: 1_100, userEventSizeLimit: 2_000 }), [
      'userEventSizeLimit (2000) must be at least 100 below udpBufferSize (1100)',
      'querySizeLimit (1024, of profile lan) must be at least 100 below udpBufferSize (1100)',
    ]);
    assert.deepEqual(problemsOf({ udpBufferSize: 9_400, userEventSizeLimit: 9_216, querySizeLimit: 9_216 }), []);
  });

  it('name the networks that gossip keeps to, its own among them', () => {
    const { networksAllowed } = serfOf({ cidrsAllowed: '127.0.0.0/8, fd00::/8' }).swim;
    assert.deepEqual(
      networksAllowed.map(({ address, bits }) => `${address.length}/${bits}`),
      ['4/8', '16/8'],
    );
    assert.deepEqual(problemsOf({ cidrsAllowed: ['10.0.0.0/8', '10.0.0.0'] }), [
      'cidrsAllowed: ["10.0.0.0/8","10.0.0.0"] is not address/bits, with commas between several ("10.0.0.0" is no network)',
    ]);
    assert.deepEqual(problemsOf({ cidrsAllowed: ['10.0.0.0/8'] }), [
      'cidrsAllowed: 127.0.0.1, where this node gossips itself, lies in none of the networks',
    ]);
  });
});
