/** The agent's RPC can command the node: who may reach it is decided before it listens. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ConfigError, type NodeOptions, resolveNodeConfig } from '../../src/node-config.ts';

const NODE: NodeOptions = { zeroconf: true, interface: '127.0.0.1' };

function problems(options: NodeOptions): readonly string[] {
  try {
    resolveNodeConfig({ ...NODE, ...options });
    return [];
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.problems;
  }
}

describe('the settings of the agent’s RPC', () => {
  it('are off, and bind a bare port to loopback whatever the interface', () => {
    assert.equal(resolveNodeConfig(NODE).serfRpc, undefined);
    const config = resolveNodeConfig({ ...NODE, interface: '127.0.0.1', serfRpcAddr: ':7373' });
    assert.deepEqual(config.serfRpc, { bind: { host: '127.0.0.1', port: 7373 }, authKey: undefined });
  });

  it('refuse an address of the network without a key, unless that is meant', () => {
    for (const serfRpcAddr of ['0.0.0.0:7373', '10.0.0.1:7373', '[::]:7373']) {
      assert.match(problems({ serfRpcAddr }).join(), /open to the network, where anyone could command the node/);
      assert.deepEqual(problems({ serfRpcAddr, serfRpcAuth: 'sekret' }), []);
      assert.deepEqual(problems({ serfRpcAddr, serfRpcOpen: true }), []);
    }
    assert.deepEqual(problems({ serfRpcAddr: '127.0.0.1:7373' }), []);
    assert.deepEqual(problems({ serfRpcAddr: '[::1]:7373' }), []);
  });

  it('say so when a key guards nothing', () => {
    assert.match(problems({ serfRpcAuth: 'sekret' }).join(), /only with serfRpcAddr/);
  });
});
