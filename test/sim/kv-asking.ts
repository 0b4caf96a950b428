/** How clients of the coordination state ask: any node of their cluster, in answers that get lost with it. */
import type { ClusterId } from '../../src/model/ids.ts';
import type { KvAnswer, KvRequest } from '../../src/model/kv.ts';
import type { Chance } from './chance.ts';
import type { Simulation } from './simulation.ts';

/** One try; longer than most answers take, shorter than some. */
const TRY_MS = 1_200;

/** Undefined is heard when none answers in time. */
export function askAnyNode(
  simulation: Simulation,
  { chance, clusterId }: { readonly chance: Chance; readonly clusterId: ClusterId | undefined },
  request: KvRequest,
  heard: (answer: KvAnswer | undefined) => void,
): void {
  const later = (delayMs: number, act: () => void): void => simulation.at(simulation.now + delayMs, act);
  const nodes = simulation.machines.filter(({ process }) => process?.isUp && process.cluster.clusterId === clusterId);
  const process = chance.pick(nodes)?.process;
  let isOver = false;
  const end = (answer: KvAnswer | undefined): void => {
    if (isOver) return;
    isOver = true;
    heard(answer);
  };
  later(TRY_MS, () => end(undefined));
  if (process === undefined) return;
  later(chance.between(0.05, 1), () =>
    process.whenRunning(() => process.askKv(request, (answer) => later(chance.between(0.05, 1), () => end(answer)))),
  );
}
