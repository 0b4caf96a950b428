/** mDNS among the simulated processes: the shipped schedule of questions and answers over a multicast that may lose each copy. */
import { Schedule } from '../../src/discovery/schedule.ts';
import { type Endpoint, formatEndpoint } from '../../src/model/endpoint.ts';
import type { Chance } from './chance.ts';
import type { Network, NetworkHost } from './network.ts';
import type { SimulatedProcess } from './process.ts';

interface Searcher {
  readonly process: SimulatedProcess;
  readonly schedule: Schedule;
  readonly found: Map<string, Endpoint>;
  isSearched: boolean;
  wakeNumber: number;
}

export class SimulatedDiscovery {
  readonly #network: Network;
  readonly #host: NetworkHost;
  readonly #chance: Chance;
  #searchers: Searcher[] = [];

  constructor(network: Network, host: NetworkHost, chance: Chance) {
    this.#network = network;
    this.#host = host;
    this.#chance = chance;
  }

  join(process: SimulatedProcess): void {
    this.#searchers = this.#searchers.filter((searcher) => searcher.process.isUp);
    const schedule = new Schedule(this.#chance, this.#host.now);
    schedule.announce(this.#host.now);
    const searcher: Searcher = { process, schedule, found: new Map(), isSearched: false, wakeNumber: 0 };
    this.#searchers.push(searcher);
    this.#wake(searcher);
  }

  #wake(searcher: Searcher): void {
    searcher.wakeNumber += 1;
    const number = searcher.wakeNumber;
    const at = Math.max(this.#host.now + 0.05, searcher.schedule.next());
    this.#host.at(at, () => {
      if (number === searcher.wakeNumber && searcher.process.isUp)
        searcher.process.onTimer(() => {
          if (number === searcher.wakeNumber) this.#turn(searcher);
        });
    });
  }

  #turn(searcher: Searcher): void {
    const { schedule, process } = searcher;
    const { now } = this.#host;
    if (schedule.takeQuery(now)) this.#multicast(process, (other) => this.#onQuery(other));
    const isSpeaking = [schedule.takeAnnouncement(now), schedule.takeAnswer(now)].includes(true);
    if (isSpeaking) {
      const at = process.endpoints.get('gossip') as Endpoint;
      this.#multicast(process, (other) => this.#onAnswer(other, at));
    }
    if (schedule.takeSearched(now)) {
      searcher.isSearched = true;
      this.#tell(searcher);
    }
    this.#wake(searcher);
  }

  #onQuery(searcher: Searcher): void {
    searcher.schedule.heardQuery(this.#host.now);
    searcher.schedule.answer(this.#host.now);
    this.#wake(searcher);
  }

  #onAnswer(searcher: Searcher, endpoint: Endpoint): void {
    const key = formatEndpoint(endpoint);
    if (searcher.found.has(key)) return;
    searcher.found.set(key, endpoint);
    this.#tell(searcher);
  }

  #tell({ process, found, isSearched }: Searcher): void {
    process.post({ kind: 'discovered', gossip: [...found.values()], searched: isSearched });
  }

  #multicast(from: SimulatedProcess, hear: (searcher: Searcher) => void): void {
    for (const searcher of this.#searchers) {
      const { process } = searcher;
      if (process === from || !process.isUp || this.#network.isLost()) continue;
      this.#host.at(this.#host.now + this.#network.delay(), () => {
        if (!process.isUp || this.#network.isCut(from.machine, process.machine, 'gossip')) return;
        process.whenRunning(() => hear(searcher));
      });
    }
  }
}
