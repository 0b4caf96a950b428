import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import type { NetworkInterfaceInfo } from 'node:os';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { chooseInterface, defaultRouteInterface, type Host } from '../../src/node-config/host-interface.ts';
import { nearestName } from '../../src/node-config/nearest-name.ts';
import { OPTION_KEYS, optionMeta, optionName, readOption } from '../../src/node-config/option-table.ts';
import { durationMs } from '../../src/node-config/option-values.ts';
import {
  ConfigError,
  configWarnings,
  type NodeConfig,
  type NodeOptions,
  resolveNodeConfig,
} from '../../src/node-config.ts';
import { emptyDirectoryProblem } from '../../src/node-config/config-error.ts';
import { OPTIONS_PAGE, optionsPage } from '../tools/options-page.ts';

const v4 = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  netmask: '255.255.255.0',
  family: 'IPv4',
  mac: '00:00:00:00:00:00',
  internal,
  cidr: `${address}/24`,
});
const ROUTES = `Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
docker0 000011AC 00000000 0001 0 0 0 0000FFFF 0 0 0
wlan0 00000000 0102A8C0 0003 0 0 600 00000000 0 0 0
eth0 00000000 0101A8C0 0003 0 0 100 00000000 0 0 0
`;
const HOST: Host = {
  interfaces: {
    lo: [v4('127.0.0.1', true), { ...v4('::1', true), family: 'IPv6', scopeid: 0 }],
    docker0: [v4('172.17.0.1')],
    eth0: [{ ...v4('fe80::5'), family: 'IPv6', scopeid: 2 }, v4('192.168.1.5')],
  },
  routes: ROUTES,
  stateHome: '/state',
};

function resolve(options: NodeOptions): NodeConfig {
  return resolveNodeConfig(options, { host: HOST });
}

function problemsOf(options: Readonly<Record<string, unknown>>): readonly string[] {
  try {
    resolveNodeConfig(options as NodeOptions, { host: HOST });
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.exitCode, 78);
    assert.equal(error.code, 'FUNK_BAD_CONFIG');
    return error.problems;
  }
  return [];
}

describe('a standalone etcd', () => {
  const etcdEndpoints = 'http://e1:2379, http://e2:2379/';

  it('is named by one endpoint or several, and keeps all keys below the cluster name', () => {
    assert.deepEqual(resolve({ etcdEndpoints, clusterName: 'shop', etcdLease: '5s' }).etcd, {
      endpoints: ['http://e1:2379', 'http://e2:2379'],
      prefix: '/funknode/shop',
      ttlSeconds: 5,
      caFile: undefined,
      certFile: undefined,
      keyFile: undefined,
    });
    assert.equal(resolve({ etcdEndpoints, etcdPrefix: 'a/b' }).etcd?.prefix, 'a/b');
    assert.equal(resolve({}).etcd, undefined);
    assert.equal(resolve({ etcdEndpoints, etcdPrefix: 'a', role: 'non-member' }).etcd, undefined);
  });

  it('refuses what goes without one, and what does not go with one', () => {
    const said = (options: NodeOptions): string => problemsOf({ ...options }).join('\n');
    assert.match(said({ etcdPrefix: '/x' }), /^etcdPrefix: only with etcdEndpoints$/);
    assert.match(said({ etcdEndpoints: 'e1:2379' }), /"e1:2379" is not http:\/\/host:port or https/);
    assert.match(said({ etcdEndpoints: ['http://e1:2379', 'https://e2:2379'] }), /all by http or all by https/);
    assert.match(said({ etcdEndpoints, bootstrap: true }), /^bootstrap: not with etcdEndpoints/);
    assert.match(said({ etcdEndpoints, leaseReads: true, hostsNeverSuspend: true }), /^leaseReads: not with/);
    assert.match(said({ etcdEndpoints, etcdLease: '2500ms' }), /^etcdLease: 2500 ms; etcd counts whole seconds/);
    assert.match(said({ etcdEndpoints, etcdCaFile: 'ca.pem' }), /only with https/);
    assert.match(said({ etcdEndpoints: 'https://e1:2379', etcdCertFile: 'c.pem' }), /both or none/);
    assert.match(said({ etcdEndpoints, etcdPrefix: 'a//b' }), /"a\/\/b" is not letters, digits/);
  });
});

describe('reads under the leader lease', () => {
  it('are refused unless it is stated that no machine is ever suspended', () => {
    assert.match(problemsOf({ leaseReads: true }).join(), /^leaseReads: state with hostsNeverSuspend/);
    assert.equal(resolve({ leaseReads: true, hostsNeverSuspend: true }).leaseReads, true);
    assert.equal(resolve({ hostsNeverSuspend: true }).leaseReads, false);
  });
});

describe('settings', () => {
  it('are complete when nothing is said', () => {
    const config = resolve({});
    assert.deepEqual(
      [config.clusterName, config.kind, config.voters, config.shards, config.leaseMs, config.clockDrift],
      ['clusterfunk', 'voter', 5, 10_000, 900, 0.02],
    );
    assert.deepEqual([config.ackTimeoutMs, config.livenessIntervalMs, config.livenessRetries], [500, 150, 3]);
    assert.deepEqual(
      [config.autoJoin, config.zeroconf, config.inMemory, config.wantsShards],
      [true, false, false, true],
    );
    assert.equal(config.nodeId, undefined);
    assert.equal(config.dataRoot, '/state');
    assert.deepEqual(config.endpoints.serf, {
      bind: { host: '192.168.1.5', port: 7946 },
      isPortSet: false,
      advertise: { host: '192.168.1.5', port: 0 },
    });
  });

  it('have a default that is itself a right value, for every option', () => {
    for (const key of OPTION_KEYS) {
      const read = readOption(key, undefined);
      assert.ok('value' in read, `${key}: ${'problem' in read ? read.problem : ''}`);
      assert.ok(optionMeta(key).text.length > 0 && !optionMeta(key).text.endsWith('.'), optionName(key));
    }
  });

  it('take texts as a flag gives them and values as a program does', () => {
    const texts = {
      lease: '2s',
      voters: '3',
      zeroconf: 'true',
      join: 'a:1,b',
      tag: 'zone=a,note=x,y',
      clockDrift: '5%',
    };
    const values = { lease: 2000, voters: 3, zeroconf: true, join: ['a:1', 'b'], tag: { zone: 'a', note: 'x,y' } };
    const fromTexts = resolveNodeConfig(texts as unknown as NodeOptions, { host: HOST });
    assert.deepEqual(fromTexts, resolve({ ...values, clockDrift: 0.05 }));
    assert.deepEqual(
      [...fromTexts.tags],
      [
        ['zone', 'a'],
        ['note', 'x,y'],
      ],
    );
  });

  it('know other names for the roles and for no metrics', () => {
    assert.equal(resolve({ role: 'primary' }).kind, 'voter');
    assert.equal(resolve({ role: 'secondary' }).kind, 'non-voter');
    assert.equal(resolve({ role: 'client' }).wantsShards, false);
    assert.equal(resolve({ metrics: 'blackhole' }).metrics, 'none');
  });

  it('are refused all at once, each with the value and what would be right', () => {
    const problems = problemsOf({
      voters: 4,
      lease: '900',
      clockDrift: 2,
      interface: 'eth9',
      join: 'a:b,c',
      zerconf: true,
      serfEndpoint: '7946',
      tag: ['x'],
      nodeId: 'a b',
      role: 'boss',
      shards: 0,
    });
    assert.equal(problems.length, 11);
    const said = (start: string): string => problems.find((problem) => problem.startsWith(`${start}: `)) ?? '';
    assert.equal(said('voters'), 'voters: 4 is not 1, 3, 5 or 7');
    assert.match(said('lease'), /"900" is not a duration from 300ms to 1m \(give it a unit: 900ms or 900s\)/);
    assert.match(said('clockDrift'), /did you mean 2%\?/);
    assert.match(said('interface'), /eth9.*docker0 172\.17\.0\.1, eth0 192\.168\.1\.5/);
    assert.match(said('zerconf'), /did you mean zeroconf\?/);
    assert.match(said('serfEndpoint'), /written :7946/);
    assert.match(said('role'), /voter \(primary\)/);
  });

  it('are refused when they contradict each other', () => {
    assert.match(problemsOf({ inMemory: true, dataDir: 'x' })[0] ?? '', /inMemory and dataDir: one or the other/);
    assert.match(problemsOf({ bootstrap: true, bootstrapExpect: 3 })[0] ?? '', /one or the other/);
    assert.match(problemsOf({ bootstrap: true, role: 'non-voter' })[0] ?? '', /only a voter founds/);
    assert.match(problemsOf({ raftEndpoint: ':7000', httpEndpoint: ':7000' })[0] ?? '', /7000 is raftEndpoint already/);
    assert.deepEqual(
      problemsOf({ raftEndpoint: ':7000', livenessEndpoint: ':7000' }),
      [],
      'TCP and UDP may share a number',
    );
    assert.match(problemsOf({ serfEndpointAdvertise: '0.0.0.0:1' })[0] ?? '', /nobody can reach/);
    assert.match(problemsOf({ tag: { 'fn.cid': 'x' } })[0] ?? '', /set by the node itself/);
  });

  it('C5: keep cluster name and node id together within one mDNS label', () => {
    assert.deepEqual(problemsOf({ clusterName: 'c'.repeat(40), nodeId: 'n'.repeat(17) }), []);
    assert.match(
      problemsOf({ clusterName: 'c'.repeat(40), nodeId: 'n'.repeat(18) })[0] ?? '',
      /58 bytes together; at most 57/,
    );
    assert.match(problemsOf({ clusterName: 'c'.repeat(42) })[0] ?? '', /random node id \(16\)/);
  });

  it('say which tag is too long, and by how much', () => {
    assert.deepEqual(problemsOf({ tag: { note: 'x'.repeat(60_000) } }), []);
    assert.match(
      problemsOf({ tag: { note: 'x'.repeat(70_000), zone: 'a' } })[0] ?? '',
      /^tag: tag note does not fit: all tags need 7\d{4} bytes, \d+ more than the 65536 allowed \(endpoints and clusterName count/,
    );
    assert.match(
      problemsOf({ tag: { note: 'x'.repeat(500) }, tagsSizeLimit: 600 })[0] ?? '',
      /^tag: tag note does not fit: .* more than the 600 allowed/,
    );
  });

  it('advertise the interface where a socket listens everywhere', () => {
    const { serf, raft } = resolve({
      serfEndpoint: '0.0.0.0:7946',
      raftEndpointAdvertise: 'node1.example:9',
    }).endpoints;
    assert.deepEqual([serf.advertise, serf.isPortSet], [{ host: '192.168.1.5', port: 0 }, true]);
    assert.deepEqual(raft.advertise, { host: 'node1.example', port: 9 });
  });

  it('need a way into a cluster when the data directory is empty, and name the four', () => {
    const problem = emptyDirectoryProblem(resolve({})) ?? '';
    for (const way of ['--zeroconf', '--join', '--bootstrap ', '--bootstrap-expect'])
      assert.ok(problem.includes(way), way);
    for (const way of [{ zeroconf: true }, { join: 'a' }, { bootstrap: true }, { bootstrapExpect: 3 }]) {
      assert.equal(emptyDirectoryProblem(resolve(way)), undefined);
    }
    assert.match(emptyDirectoryProblem(resolve({ role: 'non-voter' })) ?? '', /needs a cluster to follow/);
  });

  it('warn of what is open off loopback, and of nothing on it', () => {
    assert.deepEqual(configWarnings(resolve({ interface: '127.0.0.1' })), []);
    assert.match(configWarnings(resolve({})).join(), /serf on 192\.168\.1\.5/);
    assert.match(
      configWarnings(resolve({ interface: 'lo', httpEndpoint: '0.0.0.0:80' })).join(),
      /network: http on 0\.0\.0\.0$/,
    );
  });

  it('warn of a lease that does not outlive an election', () => {
    const warnings = configWarnings(resolve({ interface: 'lo', lease: '400ms' }));
    assert.match(warnings.join(), /lease 400 ms is short for an election/);
  });

  it('never throw anything but a ConfigError, whatever is said', () => {
    const anything = fc.dictionary(fc.constantFrom(...OPTION_KEYS), fc.oneof(fc.string(), fc.jsonValue()));
    fc.assert(
      fc.property(anything, (options) => {
        for (const problem of problemsOf(options)) assert.ok(problem.length > 0);
      }),
      { numRuns: 300, examples: [[{ probeInterval: [{ toString: 0 }] }]] },
    );
  });
});

describe('durations', () => {
  it('carry their unit', () => {
    assert.deepEqual(['150ms', '2s', '5m', '1h', '1.5s'].map(durationMs), [150, 2000, 300_000, 3_600_000, 1500]);
    assert.deepEqual(['', '5', 's', '5 s', '-1s', '1d'].map(durationMs), new Array(6).fill(undefined));
  });
});

describe('the interface', () => {
  it('is the one with the cheapest default route, else the first that is not loopback, else loopback', () => {
    assert.equal(defaultRouteInterface(ROUTES), 'eth0');
    assert.deepEqual(chooseInterface(undefined, HOST), {
      name: 'eth0',
      address: '192.168.1.5',
      chosenBy: 'default route',
    });
    assert.deepEqual(chooseInterface(undefined, { ...HOST, routes: '' }), {
      name: 'docker0',
      address: '172.17.0.1',
      chosenBy: 'first address',
    });
    const alone: Host = { ...HOST, interfaces: { lo: HOST.interfaces['lo'] } };
    assert.deepEqual(chooseInterface(undefined, alone), { name: 'lo', address: '127.0.0.1', chosenBy: 'loopback' });
    assert.equal(defaultRouteInterface('garbage\n\nx'), undefined);
  });

  it('is found by its name, IPv4 first, by its address, and by any address of loopback', () => {
    const chosen = (option: string): unknown => {
      const found = chooseInterface(option, HOST);
      return typeof found === 'string' ? found : [found.name, found.address];
    };
    assert.deepEqual(chosen('eth0'), ['eth0', '192.168.1.5']);
    assert.deepEqual(chosen('172.17.0.1'), ['docker0', '172.17.0.1']);
    assert.deepEqual(chosen('127.0.0.9'), ['lo', '127.0.0.9']);
    assert.deepEqual(chosen('localhost'), ['lo', '127.0.0.1']);
    assert.deepEqual(chosen('::1'), ['lo', '::1']);
    assert.match(String(chosen('0.0.0.0')), /this machine has/);
  });
});

describe('a mistyped name', () => {
  it('is answered with the nearest right one, or with none', () => {
    assert.equal(nearestName('votrs', ['voters', 'shards']), 'voters');
    assert.equal(nearestName('zero-cnof', ['zeroconf', 'zero-conf']), 'zero-conf');
    assert.equal(nearestName('elephants', ['voters', 'shards']), undefined);
  });
});

describe('docs/options.md', () => {
  it('says what the table of options says (npm run docs)', () => {
    assert.equal(readFileSync(OPTIONS_PAGE, 'utf8'), optionsPage());
  });
});
