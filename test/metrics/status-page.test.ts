/** The page of who is there. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { statusHtml, statusReading } from '../../src/metrics/status-page.ts';
import { fakeView } from '../fake-node-handle.ts';

const view = fakeView({
  id: 'n1',
  leader: 'n1',
  members: [
    { name: 'n0', status: 'failed' },
    { name: 'n1' },
    { name: 'web', raft: '', tags: { 'meta.serviceName': '<script>alert(1)</script>', 'ep.x"': 'a&b' } },
  ],
});

describe('the status page', () => {
  it('reads who is there first, with what they publish', () => {
    const { node, leader, counts, members } = statusReading(view, 70_000);
    assert.deepEqual([node, leader, counts], ['n1', 'n1', { alive: 2, failed: 1 }]);
    assert.deepEqual(
      members.map(({ name, status, kind, knownSeconds }) => [name, status, kind, knownSeconds]),
      [
        ['n1', 'alive', 'voter', 60],
        ['web', 'alive', '', 60],
        ['n0', 'failed', 'voter', 60],
      ],
    );
    assert.deepEqual(members[1]?.endpoints, { 'ep.serf': '10.0.0.3:7946', 'ep.x"': 'a&b' });
  });

  it('escapes what members say, and takes nothing from elsewhere', () => {
    const page = statusHtml(statusReading(view, 70_000), ['/metrics']);
    assert.doesNotMatch(page, /<script|https?:|src=|style=/i);
    assert.match(page, /&lt;script&gt;alert\(1\)&lt;\/script&gt;/);
    assert.match(page, /ep\.x&quot; a&amp;b/);
  });

  it('does not grow without end', () => {
    const many = fakeView({ id: 'm0', members: Array.from({ length: 2_100 }, (_, at) => ({ name: `m${at}` })) });
    const page = statusHtml(statusReading(many, 70_000), []);
    assert.equal(page.split('<tr><td>').length - 1, 2_000);
    assert.match(page, /100 more/);
  });
});
