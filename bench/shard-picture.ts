/**
 * A picture of how shards move as nodes come and go: one strip per map, one cell per shard, its colour the owner's; what has just moved is marked.
 * `npm run picture` writes docs/shards.svg, by the planner that nodes use.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Boot, NodeId } from '../src/model/ids.ts';
import type { Owner } from '../src/model/shard-map.ts';
import { type Plan, planShards } from '../src/sharding/sharding.ts';

const SHARDS = 120;
/** Who is there, map after map; one letter a node. */
const STORY = ['a', 'ab', 'abc', 'abcd', 'abcde', 'abde', 'abcde', 'bcde', 'bde', 'abde'];
const COLOURS: Readonly<Record<string, string>> = {
  a: '#4477aa',
  b: '#66ccee',
  c: '#228833',
  d: '#ccbb44',
  e: '#ee6677',
};
const CELL = 7;
const ROW = 40;
const LEFT = 12;
const WIDTH = SHARDS * CELL + 2 * LEFT;

interface Step {
  readonly title: string;
  readonly plan: Plan;
  readonly moved: ReadonlySet<number>;
}

const steps = play();
const path = fileURLToPath(new URL('../../docs/shards.svg', import.meta.url));
writeFileSync(path, draw(steps));
process.stdout.write(`${steps.map(({ title }) => title).join('\n')}\nwritten to docs/shards.svg\n`);

function play(): Step[] {
  const told: Step[] = [];
  let previous: Plan | undefined;
  let lastWorkerId = 0;
  for (const [i, nodes] of STORY.entries()) {
    const before = STORY[i - 1] ?? '';
    // A node that comes back is another process: another boot.
    const candidates = [...nodes].map((node) => ({ node: node as NodeId, boot: bootOf(node, i) }));
    const request = { shardCount: SHARDS, previous, pinned: new Set<number>(), candidates, promised: [], lastWorkerId };
    const plan = planShards(request);
    if (plan === undefined) throw new Error('there is always somebody');
    lastWorkerId = Math.max(lastWorkerId, ...plan.owners.map(({ workerId }) => workerId));
    const moved = movedBetween(previous, plan);
    told.push({ title: titleOf(before, nodes, moved.size), plan, moved });
    previous = plan;
  }
  return told;
}

/** The map in which the node came last. */
function bootOf(node: string, at: number): Boot {
  let since = at;
  while (since > 0 && STORY[since - 1]?.includes(node)) since -= 1;
  return (since + 1) as Boot;
}

function movedBetween(before: Plan | undefined, after: Plan): Set<number> {
  const moved = new Set<number>();
  for (let shard = 0; before !== undefined && shard < SHARDS; shard++) {
    if (ownerOf(before, shard).node !== ownerOf(after, shard).node) moved.add(shard);
  }
  return moved;
}

function ownerOf({ owners, ownerOf: places }: Plan, shard: number): Owner {
  return owners[places[shard] ?? 0] as Owner;
}

function titleOf(before: string, nodes: string, moved: number): string {
  if (before === '') return `${nodes} begins alone with ${SHARDS} shards`;
  const came = [...nodes].filter((node) => !before.includes(node));
  const went = [...before].filter((node) => !nodes.includes(node));
  const what = came.length > 0 ? `${came.join()} comes` : `${went.join()} goes`;
  return `${what}: ${moved} of ${SHARDS} shards move`;
}

function draw(rows: readonly Step[]): string {
  const height = rows.length * ROW + 10;
  const strips = rows.map(({ title, plan, moved }, row) => {
    const top = row * ROW;
    const text = `<text x="${LEFT}" y="${top + 16}">${title}</text>`;
    const cells = Array.from({ length: SHARDS }, (_, shard) => {
      const x = LEFT + shard * CELL;
      const { node } = ownerOf(plan, shard);
      const mark = moved.has(shard)
        ? `<rect x="${x}" y="${top + 20}" width="${CELL - 1}" height="3" fill="#222"/>`
        : '';
      return `${mark}<rect x="${x}" y="${top + 24}" width="${CELL - 1}" height="12" fill="${COLOURS[node]}"/>`;
    });
    return `${text}${cells.join('')}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12" fill="#222">
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${strips.join('\n')}
</svg>
`;
}
