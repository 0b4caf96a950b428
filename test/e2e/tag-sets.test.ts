/** More tags than gossip carries, through the library and the command line. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FunkNode, type NodeOptions, TagsTooLargeError } from '../../src/index.ts';
import { formatEndpoint } from '../../src/model/endpoint.ts';
import { until } from '../peers/peer.ts';
import { freshClusterName } from './node-process.ts';

const COUNT = 60;
const many = (mark: string): Record<string, string> =>
  Object.fromEntries(Array.from({ length: COUNT }, (_, i) => [`x-${i}`, `${mark} ${'v'.repeat(60)}`]));

describe('a node with more tags than gossip carries', { timeout: 120_000 }, () => {
  it('is seen whole, publishes endpoints beyond them, is refused too much, and is the same after a restart', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'funknode-tags-'));
    const clusterName = freshClusterName();
    const common: NodeOptions = { clusterName, interface: '127.0.0.1' };
    const first: NodeOptions = { ...common, nodeId: 'f1', bootstrap: true, dataDir: folder, tag: many('one') };
    const f1 = new FunkNode({ ...first, serfEndpoint: '127.0.0.1:0' });
    await f1.start();
    const gossip = f1.view().endpoints.get('ep.serf');
    assert.ok(gossip !== undefined);
    await using f2 = new FunkNode({ ...common, nodeId: 'f2', role: 'non-voter', join: [formatEndpoint(gossip)] });
    await f2.start();
    const shownOf = (): { readonly tags: ReadonlyMap<string, string>; readonly tagsComplete: boolean } | undefined =>
      f2.members.find(({ name, status }) => name === 'f1' && status === 'alive');
    const shows = (name: string, value: string | undefined): string | true => {
      const shown = shownOf();
      if (shown?.tagsComplete !== true) return 'not complete';
      return shown.tags.get(name) === value ? true : `${name} is ${shown.tags.get(name)}`;
    };
    try {
      await until('all tags are seen', () => shows(`x-${COUNT - 1}`, many('one')[`x-${COUNT - 1}`]), 60_000);

      // An endpoint for which gossip has no room is observed all the same.
      const changes: string[] = [];
      const watching = f2.streams.endpoints.subscribe(({ change, name }) => changes.push(`${change} ${name}`));
      const far = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`ep.far-${i}`, `10.0.0.1:${1_000 + i}`]));
      await f1.setTags(far);
      await until('the last of ten endpoints is seen', () => f2.endpoints('far-9').size === 1 || 'none', 60_000);
      await f1.setEndpoint('far-9', { host: '10.0.0.2', port: 7 });
      await until('its change is seen', () => changes.includes('changed ep.far-9') || changes.join(', '), 60_000);
      assert.ok(!changes.some((change) => change.startsWith('removed')), 'nothing comes and goes meanwhile');
      watching.unsubscribe();

      // Never silently dropped: what is too much is refused, and nothing has changed.
      await assert.rejects(f1.setTags({ huge: 'x'.repeat(70_000) }), (error: unknown) => {
        assert.ok(error instanceof TagsTooLargeError);
        assert.match(
          error.message,
          /tag huge does not fit: all tags need 7\d{4} bytes, \d+ more than the 65536 allowed/,
        );
        return true;
      });
      await assert.rejects(f1.setTags({ 'fn.tags': 'x' }), /tag fn\.tags is set by the node itself/);
      assert.equal(f1.members.find(({ name }) => name === 'f1')?.tags.get('huge'), undefined);

      await f1.stop();
      await using again = new FunkNode({ ...first, serfEndpoint: formatEndpoint(gossip), tag: many('two') });
      await again.start();
      await until('its tags of now are seen', () => shows('x-7', many('two')['x-7']), 60_000);
      assert.equal(shows('ep.far-9', undefined), true, 'and none of those of before');
    } finally {
      await f1.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
