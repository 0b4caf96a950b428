/** Everything this node tells Prometheus. Nothing is pushed or sampled: each scrape reads the node once and writes it down. */
import { Registry, type RegistryContentType } from 'prom-client';
import { present } from '../base/assert.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { registerClusterfunk } from './clusterfunk.ts';
import { EventTally } from './event-tally.ts';
import { Families, type Reading } from './families.ts';
import { registerKv } from './kv.ts';
import { registerLiveness } from './liveness.ts';
import { registerLoop } from './loop.ts';
import type { MetricsFormat, MetricsSource, RenderedMetrics } from './metrics-source.ts';
import { registerNode } from './node.ts';
import { registerPeers } from './peers.ts';
import { registerProcess } from './process.ts';
import { registerRaft } from './raft.ts';
import { registerRouting } from './routing.ts';
import { registerSerf } from './serf.ts';
import type { OuterReadings } from './outer-readings.ts';
import { registerServices } from './services.ts';
import { registerSharding } from './sharding.ts';
import { registerStorage } from './storage.ts';
import { registerSwim } from './swim.ts';

export interface NodeMetricsOptions {
  readonly handle: NodeHandle;
  /** Of the package. */
  readonly version: string;
  /** Unix milliseconds; floor 8 has no clock of its own. */
  readonly wall: () => number;
  readonly outer?: OuterReadings;
}

/** What a family is called and for, without its samples. */
export interface FamilyDescription {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

export class NodeMetrics implements MetricsSource {
  readonly #options: NodeMetricsOptions;
  readonly #tally: EventTally;
  /** One registry per format: prom-client renames the counters of a registry that it writes as OpenMetrics, for good. */
  readonly #registries: Map<MetricsFormat, Registry> = new Map();
  readonly #clusterfunk: Registry;
  #reading: Reading | undefined;

  constructor(options: NodeMetricsOptions) {
    this.#options = options;
    this.#tally = new EventTally(options.handle);
    this.#clusterfunk = new Registry();
    registerClusterfunk(new Families(this.#clusterfunk, this.#currentReading));
  }

  render(format: MetricsFormat): Promise<RenderedMetrics> {
    return this.#write(this.#registryOf(format));
  }

  renderClusterfunk(): Promise<RenderedMetrics> {
    return this.#write(this.#clusterfunk);
  }

  /** Every family of `/metrics`, in the order in which it is written. */
  async describe(): Promise<FamilyDescription[]> {
    this.#take();
    const families = await this.#registryOf('text').getMetricsAsJSON();
    return families.map(({ name, type, help, values }) => ({
      name,
      type: String(type),
      help,
      labelNames: [...new Set(values.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => label !== 'le'),
    }));
  }

  /** Stops listening to the node. */
  close(): void {
    this.#tally.close();
  }

  async #write(registry: Registry): Promise<RenderedMetrics> {
    this.#take();
    return { contentType: registry.contentType, body: await registry.metrics() };
  }

  #registryOf(format: MetricsFormat): Registry {
    const held = this.#registries.get(format);
    if (held !== undefined) return held;
    const registry = new Registry();
    if (format === 'openmetrics') asOpenMetrics(registry);
    const families = new Families(registry, this.#currentReading);
    const rooms = [
      registerNode,
      registerSwim,
      registerSerf,
      registerRaft,
      registerKv,
      registerSharding,
      registerLiveness,
      registerStorage,
      registerPeers,
      registerLoop,
      registerServices,
      registerRouting,
    ];
    for (const register of rooms) register(families);
    registerProcess(registry);
    this.#registries.set(format, registry);
    return registry;
  }

  #take(): void {
    const { handle, version, wall, outer } = this.#options;
    this.#reading = {
      view: handle.view(),
      stats: handle.stats(),
      nowMs: handle.now(),
      wallMs: wall(),
      tally: this.#tally,
      version,
      outer: {
        management: outer?.management?.(),
        discovery: outer?.discovery?.(),
        http: outer?.http?.(),
        serfRpc: outer?.serfRpc?.(),
      },
    };
  }

  #currentReading = (): Reading => {
    if (this.#reading === undefined) this.#take();
    return present(this.#reading, 'a scrape begins with a reading of the node');
  };
}

/** prom-client's type ties a registry to one format for life, its code does not. */
function asOpenMetrics(registry: Registry<RegistryContentType>): void {
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
}
