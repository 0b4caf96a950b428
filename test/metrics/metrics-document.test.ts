import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { DOCUMENT, metricsDocument } from './metrics-document.ts';
import { sampleMetrics } from './sample-node.ts';

describe('docs/metrics.md', () => {
  it('is what the metrics say of themselves', async () => {
    assert.equal(
      readFileSync(DOCUMENT, 'utf8'),
      await metricsDocument(),
      'run node dist/test/metrics/metrics-document.js',
    );
  });

  it('leaves no family of ours out', async () => {
    const metrics = sampleMetrics();
    const names = (await metrics.describe()).map(({ name }) => name).filter((name) => name.startsWith('funknode_'));
    metrics.close();
    const text = await metricsDocument();
    for (const name of names) assert.ok(text.includes(`| \`${name}\` |`), name);
  });
});
