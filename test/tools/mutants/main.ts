/** `npm run mutants`: how many small changes of a core its tests and simulators notice. docs/reliability.md, Mutants. */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { removePlanted } from '../../sim/planting.ts';
import { readEquivalent } from './equivalent.ts';
import { filesOf, type Mutant, mutantsOf } from './mutant-list.ts';
import { type Net, NETS } from './nets.ts';
import { type Seeds, Trials, type Verdict } from './trials.ts';

const USAGE = `npm run mutants -- --in raft|sharding|swim [--every 5] [--from 1] [--core 100] [--nodes 3] [--workers 1]
  --every k --from i   every k-th mutant, beginning with the i-th
  --only TEXT          those whose name holds this text, told in full
  --ids FILE           those that this file names, as the output of a run does
  --core N --nodes M   so many seeds of the core's simulator, and of whole nodes, for those that no step test notices
  --list               name them and end
  --all                also those that a review found to change nothing (equivalent.txt)`;

const OPTIONS = {
  in: { type: 'string' },
  every: { type: 'string', default: '1' },
  from: { type: 'string', default: '1' },
  only: { type: 'string' },
  ids: { type: 'string' },
  core: { type: 'string', default: '100' },
  nodes: { type: 'string', default: '3' },
  workers: { type: 'string', default: '1' },
  list: { type: 'boolean', default: false },
  all: { type: 'boolean', default: false },
} as const;

const TOLD_EVERY = 50;

const { values } = parseArgs({ options: OPTIONS });
const room = values.in;
const net = room === undefined ? undefined : NETS[room];
if (room === undefined || net === undefined) {
  console.error(USAGE);
  process.exit(2);
}
const built = fileURLToPath(new URL('../../..', import.meta.url));
const equivalent = readEquivalent();
const named =
  values.ids === undefined ? undefined : new Set(readFileSync(values.ids, 'utf8').match(/\S+:\d+:\d+:\w+/g));
const list = mutantsOf(built, filesOf(built, room));
const sample = list.mutants
  .filter(({ number }) => number >= Number(values.from) && (number - Number(values.from)) % Number(values.every) === 0)
  .filter(
    ({ id }) => (values.only === undefined || id.includes(values.only)) && (named === undefined || named.has(id)),
  );
const tried = sample.filter(({ key }) => values.all || !equivalent.has(key));
const byNumber = new Map(tried.map((mutant) => [mutant.number, mutant]));

if (values.list)
  for (const { id, key } of sample) console.log(`${id}  ${equivalent.has(key) ? '(changes nothing) ' : ''}${key}`);
else await tryAll(net, { core: Number(values.core), nodes: Number(values.nodes) });

async function tryAll(of: Net, seeds: Seeds): Promise<void> {
  const tally = new Map<string, number>();
  const startedAt = performance.now();
  const workers = Number(values.workers);
  const all = Array.from({ length: workers }, () => new Trials(of, list, seeds));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      for (const trials of all) trials.stop();
      removePlanted();
      process.exit(1);
    });
  }
  let done = 0;
  const onVerdict = (number: number, verdict: Verdict): void => {
    const outcome = verdict.isKilled ? verdict.layer : 'survived';
    tally.set(outcome, (tally.get(outcome) ?? 0) + 1);
    tell(byNumber.get(number) as Mutant, verdict);
    done += 1;
    if (done % TOLD_EVERY === 0) console.error(`${done} of ${tried.length}, ${tally.get('survived') ?? 0} survived`);
  };
  try {
    await Promise.all(
      all.map((trials, worker) =>
        trials.run(
          tried.filter((_, place) => place % workers === worker).map(({ number }) => number),
          onVerdict,
        ),
      ),
    );
  } finally {
    removePlanted();
  }
  const survived = tally.get('survived') ?? 0;
  const by = ['steps', 'neighbours', 'core', 'nodes'].map((layer) => `${layer} ${tally.get(layer) ?? 0}`).join(', ');
  const score = ((100 * (done - survived)) / Math.max(1, done)).toFixed(1);
  console.log(
    `${room}: ${done} mutants (${sample.length - tried.length} more change nothing), killed ${done - survived} (${by}), ` +
      `survived ${survived}, score ${score} %, ${((performance.now() - startedAt) / 60_000).toFixed(1)} min`,
  );
}

function tell({ id, key }: Mutant, { isKilled, layer, by, why }: Verdict): void {
  if (!isKilled) console.log(`survived ${id}  (${why})\n  ${key}`);
  else if (values.only !== undefined) console.log(`killed ${id}\n  ${key}\n  ${layer}: ${by}: ${why}`);
}
