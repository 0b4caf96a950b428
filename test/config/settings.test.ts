import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { readArguments } from '../../cmd/funknode/arguments.ts';
import { configText } from '../../cmd/funknode/commands/config.ts';
import { gatherSettings, resolveSettings, type Settings } from '../../cmd/funknode/settings.ts';
import { parseSettings } from '../../cmd/funknode/settings-file.ts';
import { ConfigError, type NodeConfig } from '../../src/node-config.ts';

interface Given {
  readonly argv?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly yaml?: string;
}

/** As the program does it, with loopback so that it resolves on any machine. */
function settle({ argv = [], environment = {}, yaml }: Given): Settings {
  const { flags } = readArguments(argv, '0.0.0');
  const folder = mkdtempSync(join(tmpdir(), 'funknode-settings-'));
  try {
    const file = yaml === undefined ? undefined : join(folder, 'node.yaml');
    if (file !== undefined) writeFileSync(file, yaml ?? '');
    return gatherSettings({ flags, environment: { FUNKNODE_INTERFACE: '127.0.0.1', ...environment }, file });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function configOf(given: Given): NodeConfig {
  return resolveSettings(settle(given));
}

function problemsOf(given: Given): readonly string[] {
  try {
    configOf(given);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
  return [];
}

describe('the sources of a setting', () => {
  it('come in this order: flag, environment, file, default', () => {
    const yaml = 'voters: 3\nshards: 30\nlease: 3s\n';
    const environment = { FUNKNODE_VOTERS: '5', FUNKNODE_SHARDS: '50' };
    const config = configOf({ argv: ['--voters', '7'], environment, yaml });
    assert.deepEqual([config.voters, config.shards, config.leaseMs, config.ackTimeoutMs], [7, 50, 3000, 500]);
    const { given } = settle({ argv: ['--voters', '7'], environment, yaml });
    assert.equal(given.get('voters')?.place, '--voters');
    assert.equal(given.get('shards')?.place, 'FUNKNODE_SHARDS');
    assert.match(given.get('lease')?.place ?? '', /node\.yaml:3:8: lease$/);
  });

  it('let a later flag win, and gather the repeatable ones', () => {
    const config = configOf({
      argv: ['--interface', '127.0.0.1', '--interface', '127.0.0.2', '--join', 'a', '--join=b,c'],
    });
    assert.equal(config.interface.address, '127.0.0.2');
    assert.deepEqual(config.join, ['a', 'b', 'c']);
    assert.deepEqual(
      [...configOf({ argv: ['--tag', 'a=1', '--tag=b=2'] }).tags],
      [
        ['a', '1'],
        ['b', '2'],
      ],
    );
  });

  it('know every alias', () => {
    const config = configOf({
      argv: [
        '--secondary',
        '--zero-conf',
        '--name',
        'n1',
        '--serf-join-address',
        'h:1',
        '--raft-disk-store',
        'd',
        '--verbose',
      ],
    });
    assert.deepEqual(
      [config.kind, config.zeroconf, config.nodeId, config.join, config.dataDir, config.logLevel],
      ['non-voter', true, 'n1', ['h:1'], 'd', 'debug'],
    );
    assert.equal(configOf({ argv: ['--raft-bootstrap'] }).bootstrap, true);
    assert.equal(configOf({ argv: ['--non-voting'] }).kind, 'non-voter');
    assert.equal(configOf({ argv: ['--non-member'] }).kind, 'non-member');
    assert.equal(configOf({ argv: ['--non-member=false', '--primary'] }).kind, 'voter');
    assert.equal(configOf({ environment: { FUNKNODE_NON_VOTING: 'true' } }).kind, 'non-voter');
  });

  it('take switches bare, with a value, and with no- in front', () => {
    const autoJoin = (flag: string): boolean => configOf({ argv: [flag] }).autoJoin;
    assert.deepEqual(['--auto-join', '--auto-join=true', '--auto-join=false', '--no-auto-join'].map(autoJoin), [
      true,
      true,
      false,
      false,
    ]);
    const wantsShards = (flag: string): boolean => configOf({ argv: [flag] }).wantsShards;
    assert.deepEqual(['--no-shards', '--no-shards=true', '--no-shards=false'].map(wantsShards), [false, false, true]);
    assert.equal(configOf({ argv: ['--zeroconf', '--no-zeroconf'] }).zeroconf, false);
    assert.equal(readArguments(['--zeroconf', 'config'], '0').command, 'config', 'a switch takes no word behind it');
  });

  it('read lists, records, switches and numbers from YAML as they are written', () => {
    const yaml = 'join: [a:1, b]\ntag: {zone: a, rack: 07}\nnode-id: 0123\nzeroconf: true\ndata-dir:\n';
    const config = configOf({ yaml });
    assert.deepEqual(config.join, ['a:1', 'b']);
    assert.deepEqual(
      [...config.tags],
      [
        ['zone', 'a'],
        ['rack', '07'],
      ],
    );
    assert.deepEqual([config.nodeId, config.zeroconf, config.dataDir], ['0123', true, undefined]);
    assert.equal(configOf({ yaml: '# nothing\n' }).voters, 5);
  });
});

describe('wrong settings', () => {
  it('are told with file, line and column, and the nearest known name', () => {
    const problems = problemsOf({ yaml: 'voters: 3\n\nlease: 900\nshrads: 5\n', argv: ['--role', 'king'] });
    assert.equal(problems.length, 3);
    assert.match(
      problems.join('\n'),
      /node\.yaml:3:8: lease: "900" is not a duration .* \(give it a unit: 900ms or 900s\)/,
    );
    assert.match(problems.join('\n'), /node\.yaml:4:9: shrads: there is no such setting; did you mean shards\?/);
    assert.match(problems.join('\n'), /--role: "king" is not voter/);
  });

  it('are told where YAML itself is broken', () => {
    assert.match(parseSettings('a: [1\nb: 2', 'n.yaml').problems[0] ?? '', /^n\.yaml:\d+:\d+: /);
    assert.match(parseSettings('voters: 3\nvoters: 5', 'n.yaml').problems[0] ?? '', /^n\.yaml:2:1: .*unique/);
    assert.match(parseSettings('- a\n', 'n.yaml').problems[0] ?? '', /^n\.yaml:1:1: settings are lines/);
    assert.match(problemsOf({ yaml: 'name: a\nnode-id: b\n' })[0] ?? '', /says the same thing/);
  });

  it('are told when the file cannot be read', () => {
    assert.match(
      gatherSettings({ flags: [], environment: {}, file: 'no/such/file' }).problems[0] ?? '',
      /cannot be read/,
    );
  });

  it('only warn when a variable is unknown, for Kubernetes sets some by itself', () => {
    const { warnings, problems } = settle({
      environment: { FUNKNODE_SERVICE_HOST: 'x', FUNKNODE_VOTRES: '3', FUNKNODE_JOIN: '' },
    });
    assert.deepEqual(problems, []);
    assert.deepEqual(warnings.length, 2);
    assert.match(warnings.join('\n'), /FUNKNODE_VOTRES: there is no such setting; did you mean FUNKNODE_VOTERS\?/);
  });
});

describe('funknode config', () => {
  it('prints value and source of every setting', () => {
    const text = configText(settle({ argv: ['--lease=2s'], environment: { FUNKNODE_TAG: 'zone=a' } }), false);
    assert.match(text, /^lease +2000ms +--lease$/m);
    assert.match(text, /^tag +zone=a +FUNKNODE_TAG$/m);
    assert.match(text, /^serf-endpoint +127\.0\.0\.1:7946 or any free port +default$/m);
    const json = JSON.parse(configText(settle({ argv: ['--lease=2s'] }), true)) as Record<string, unknown>;
    assert.deepEqual(json['lease'], { value: 2000, source: 'flag', place: '--lease' });
    assert.deepEqual(json['node-id'], { value: null, source: 'default' });
  });
});
