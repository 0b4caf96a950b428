import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { configText } from '../../cmd/funknode/commands/config.ts';
import { gatherSettings } from '../../cmd/funknode/settings.ts';
import type { NodeId, Stamp } from '../../src/model/ids.ts';
import { clusterConfigOf } from '../../src/node-config/cluster-config.ts';
import {
  ConfigError,
  configWarnings,
  type NodeConfig,
  type NodeOptions,
  resolveNodeConfig,
} from '../../src/node-config.ts';
import { writeKeyringFile } from '../../src/runtime/keyring-file.ts';
import { validateSerfConfig } from '../../src/serf/config.ts';

const K1 = Buffer.alloc(16, 1).toString('base64');
const K2 = Buffer.alloc(32, 2).toString('base64');
const folder = mkdtempSync(join(tmpdir(), 'funk-keyring-'));
after(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const path = join(folder, `ring-${Math.abs(text.length)}-${Buffer.from(text).toString('hex').slice(0, 24)}.json`);
  writeFileSync(path, text);
  return path;
}

function resolve(options: NodeOptions): NodeConfig {
  return resolveNodeConfig({ interface: '127.0.0.1', ...options });
}

function problemOf(options: NodeOptions): string {
  try {
    resolve(options);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems.join('\n');
  }
  return '';
}

function gossipOf(config: NodeConfig): ReturnType<typeof clusterConfigOf>['serf'] {
  const identity = { nodeId: 'n1' as NodeId, stamp: '0'.repeat(16) as Stamp };
  const start = { startedAt: 0, startedWallMs: 0, hasReleaseHook: false, hasAcquireHook: false, startsLoading: false };
  return clusterConfigOf(config, identity, { host: '127.0.0.1', port: 7946 }, start).serf;
}

describe('gossip keys', () => {
  it('come from an option, or from a file as Serf keeps it, the primary first', () => {
    const { swim, hasKeyringFile } = gossipOf(resolve({ encrypt: K1 }));
    assert.deepEqual([swim.keys.map((key) => Buffer.from(key).toString('base64')), hasKeyringFile], [[K1], false]);
    const path = fileWith(JSON.stringify([K2, K1], null, 2));
    const fromFile = gossipOf(resolve({ keyringFile: path, gossipVerifyIncoming: false, label: 'blue' }));
    assert.deepEqual(
      fromFile.swim.keys.map((key) => Buffer.from(key).toString('base64')),
      [K2, K1],
    );
    assert.ok(fromFile.hasKeyringFile && !fromFile.swim.verifyIncoming && fromFile.swim.verifyOutgoing);
    assert.equal(fromFile.swim.label, 'blue');
    assert.deepEqual(validateSerfConfig(fromFile), []);
    assert.deepEqual(gossipOf(resolve({})).swim.keys, []);
  });

  it('are read again at the start, when the file may have changed', () => {
    const path = fileWith(JSON.stringify([K1]));
    const config = resolve({ keyringFile: path });
    writeFileSync(path, JSON.stringify([K2]));
    assert.equal(gossipOf(config).swim.keys[0]?.length, 32);
    writeFileSync(path, '[]');
    assert.throws(() => gossipOf(config), /contains no keys/);
  });

  it('are refused when they are none, with what would be right and without showing them', () => {
    for (const [encrypt, said] of [
      ['c2VjcmV0', /16, 24 or 32 bytes in base64 \(it has 6 bytes\)/],
      ['secret-word', /it is not base64; "funkctl keygen" makes a key/],
    ] as const) {
      assert.match(problemOf({ encrypt }), said);
      assert.ok(!problemOf({ encrypt }).includes(encrypt));
    }
    for (const [text, said] of [
      ['', /is no JSON/],
      ['hush', /is no JSON/],
      ['{}', /is to be a list/],
      ['[]', /contains no keys/],
      ['["hush"]', /key 1 cannot be used: key size must be/],
      [`["${K1}", 7]`, /key 2 cannot be used: is not base64/],
      [JSON.stringify(Array.from({ length: 65 }, () => K1)), /has 65 keys; a keyring holds 64/],
    ] as const) {
      const problem = problemOf({ keyringFile: fileWith(text) });
      assert.match(problem, said);
      assert.ok(!/hush/.test(problem));
    }
    assert.match(
      problemOf({ keyringFile: join(folder, 'nowhere.json') }),
      /keyringFile: .*nowhere.json cannot be read: ENOENT/,
    );
  });

  it('exclude each other as option and as file; switches and labels want what they are for', () => {
    const keyringFile = fileWith(JSON.stringify([K1]));
    assert.match(
      problemOf({ encrypt: K1, keyringFile }),
      /one or the other; an encryption key is not allowed while using a keyring/,
    );
    assert.match(problemOf({ gossipVerifyIncoming: false }), /gossipVerifyIncoming: only with a key/);
    assert.match(problemOf({ gossipVerifyOutgoing: false }), /gossipVerifyOutgoing: only with a key/);
    assert.match(problemOf({ skipInboundLabelCheck: true }), /only with a label/);
    assert.match(problemOf({ label: 'ä'.repeat(200) }), /has 400 bytes; at most 255/);
    assert.match(problemOf({ label: 'x'.repeat(256) }), /1 to 255 bytes/);
  });

  it('are hidden where settings are shown, and end the warning of open gossip', () => {
    const flags = [
      { key: 'encrypt', flag: '--encrypt', value: K1 },
      { key: 'interface', flag: '--interface', value: '127.0.0.1' },
    ] as const;
    for (const asJson of [false, true]) {
      const text = configText(gatherSettings({ flags, environment: {}, file: undefined }), asJson);
      assert.ok(text.includes('(hidden)') && !text.includes(K1), text);
    }
    const open = { interface: '127.0.0.1', serfEndpoint: '0.0.0.0:7946' } as const;
    const warned = (options: NodeOptions): boolean =>
      configWarnings(resolve(options)).some((text) => /serf on 0.0.0.0/.test(text));
    assert.ok(warned(open) && warned({ ...open, encrypt: K1, gossipVerifyIncoming: false }));
    assert.ok(!warned({ ...open, encrypt: K1 }));
  });
});

describe('a keyring file', () => {
  it('is replaced as a whole, for its owner only, and left alone when that fails', async () => {
    const path = join(folder, 'written.json');
    await writeKeyringFile(path, [K1]);
    await writeKeyringFile(path, [K2, K1]);
    assert.equal(await readFile(path, 'utf8'), `[\n  "${K2}",\n  "${K1}"\n]`);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    await assert.rejects(writeKeyringFile(join(folder, 'no', 'such', 'folder.json'), [K1]), /ENOENT/);
    // A folder in the place of the file: the new one cannot take its name, and does not stay behind.
    await assert.rejects(writeKeyringFile(folder, [K1]));
    const rest = [...(await readdir(folder)), ...(await readdir(join(folder, '..')))];
    assert.deepEqual(
      rest.filter((name) => name.endsWith('.tmp') && name.includes('funk-keyring-')),
      [],
    );
  });
});
