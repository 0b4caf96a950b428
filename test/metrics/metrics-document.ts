/**
 * Writes `docs/metrics.md` from the metrics themselves. As a program it writes the file:
 * `npx tsc -p . && node dist/test/metrics/metrics-document.js`.
 */
import { writeFileSync } from 'node:fs';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import type { FamilyDescription } from '../../src/metrics/node-metrics.ts';
import { sampleMetrics } from './sample-node.ts';

export const DOCUMENT: string = fileURLToPath(new URL('../../../docs/metrics.md', import.meta.url));

const ROOMS: readonly (readonly [string, string])[] = [
  ['build', 'Build'],
  ['node', 'Node'],
  ['swim', 'Gossip: SWIM'],
  ['serf', 'Gossip: Serf'],
  ['raft', 'Consensus'],
  ['kv', 'Keys and values'],
  ['sharding', 'Shards and leases'],
  ['liveness', 'Liveness'],
  ['storage', 'Storage'],
  ['peers', 'Peer streams'],
  ['loop', 'Node loop'],
  ['management', 'Management'],
  ['discovery', 'Discovery'],
  ['http', 'HTTP'],
  ['routing', 'Routing'],
];

const INTRODUCTION = `# Metrics

<!-- Written by test/metrics/metrics-document.ts, and compared with it by a test. Change the metrics, then run that. -->

Every node serves these at \`/metrics\` of its HTTP endpoint (\`--http-endpoint\`, published as \`ep.http\`), as plain text or, when
the scraper asks for it, as OpenMetrics. Values are read from the node when it is scraped; nothing is sampled in between.
Units are seconds, bytes and plain counts. Label values come from small fixed sets. \`--metrics none\` turns the sink off.

One address is enough for Prometheus: \`/sd\` of any node names every live member that publishes \`ep.metrics\` or \`ep.http\`, with the
labels \`cluster\`, \`node\` and \`node_kind\`.

\`\`\`yaml
scrape_configs:
  - job_name: funknode
    http_sd_configs:
      - url: http://127.0.0.1:7950/sd
\`\`\`

\`grafana/funknode.json\` is a dashboard over them. Beside these, \`/metrics\` has prom-client's usual \`process_*\` and \`nodejs_*\` series,
without the three gauges \`nodejs_active_*_total\`, which are named like counters, and without those \`nodejs_eventloop_lag_*\` that a
timer samples, since it would wake an idle node more often than all its work (\`funknode_loop_delay_p99_seconds\` says it instead). clusterfunk's five \`cf_cluster_*\` series, whose names break
Prometheus's rules, are at \`/metrics/clusterfunk\`.
`;

export async function metricsDocument(): Promise<string> {
  const metrics = sampleMetrics();
  const families = await metrics.describe();
  metrics.close();
  const sections = ROOMS.map(([room, title]) =>
    section(
      title,
      families.filter(({ name }) => name.startsWith(`funknode_${room}_`)),
    ),
  );
  return [INTRODUCTION, ...sections].join('\n');
}

function section(title: string, families: readonly FamilyDescription[]): string {
  const rows = families.map(({ name, type, labelNames, help }) => {
    const labels = labelNames.map((label) => `\`${label}\``).join(', ');
    return `| \`${name}\` | ${type} | ${labels} | ${help} |`;
  });
  return [`## ${title}`, '', '| series | type | labels | meaning |', '|---|---|---|---|', ...rows, ''].join('\n');
}

if (argv[1] === fileURLToPath(import.meta.url)) writeFileSync(DOCUMENT, await metricsDocument());
