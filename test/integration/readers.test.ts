/** Readers of real nodes: from outside, from a member, and from a service node, which keeps no map itself. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openClusterReader } from '../../src/client.ts';
import { FunkNode, formatEndpoint, type NodeOptions } from '../../src/index.ts';

const patience = (): AbortSignal => AbortSignal.timeout(60_000);

describe('readers of one cluster', { timeout: 240_000 }, () => {
  it('see the same, whoever they ask, and a service node is seen as what it is', async () => {
    const common: NodeOptions = {
      clusterName: `readers-${process.pid}`,
      interface: '127.0.0.1',
      inMemory: true,
      shards: 16,
    };
    await using member = new FunkNode({ ...common, nodeId: 'member', bootstrap: true, thread: 'caller' });
    await member.start();
    const at = (tag: string): string => formatEndpoint(member.view().endpoints.get(tag) ?? { host: '', port: 0 });
    await using service = new FunkNode({
      ...common,
      serviceName: 'shop',
      join: at('ep.serf'),
      thread: 'caller',
    });
    await service.start();
    assert.match(service.id, /^svc_[0-9a-f]{16}$/);
    await service.setEndpoint('shop', { host: '127.0.0.1', port: 80 });

    await using outside = openClusterReader(at('ep.clusterfunk.management'));
    await using ofMember = await member.openReader();
    await using ofService = await service.openReader();
    for (const reader of [outside, ofMember, ofService]) {
      const { node, endpoint } = await reader.waitForEndpoint('shop', { signal: patience() });
      assert.deepEqual([node, endpoint.port], [service.id, 80]);
      for await (const { leader, shardMap } of reader.pictures({ signal: patience() })) {
        if (leader === 'member' && shardMap !== undefined) break;
      }
      assert.equal(reader.ownerOf(3), 'member');
      assert.equal(reader.clusterName, common.clusterName);
      const seen = reader.members.find((one) => one.name === service.id);
      assert.deepEqual([seen?.tags.get('meta.serviceName'), seen?.tags.has('ep.raft')], ['shop', false]);
    }
    assert.equal(ofService.watched, at('ep.clusterfunk.management'));
    assert.equal(service.view().shardMap, undefined, 'the map is the member’s word');

    // A node that stops ends its own reader; those who watch see its endpoints go.
    const ended = ofService.endpointChanges({ name: 'shop' });
    await ended.next();
    const last = ended.next();
    await service.stop();
    for (let change = await last; change.done !== true; ) change = await ended.next();
    for await (const { members } of outside.pictures({ signal: patience() })) {
      if (members.every((one) => one.name !== service.id || one.status !== 'alive')) break;
    }
    assert.equal(outside.endpoints('shop').size, 0);
  });
});
