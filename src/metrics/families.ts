/**
 * How a metric is written down in this room: a name, a sentence, and a function that reads its value from one reading of
 * the node. Every value of a scrape comes from the same reading. A value that is not there (`undefined`, or no number)
 * makes a family without samples, not a zero.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { NodeStats } from '../model/node-stats.ts';
import type { NodeView } from '../model/node-view.ts';
import type { CumulativeBuckets } from '../base/distribution.ts';
import type { EventTally } from './event-tally.ts';
import type { DiscoveryReading, HttpReading, ManagementReading, SerfRpcReading } from './outer-readings.ts';

/** What a scrape reads from, taken once. */
export interface Reading {
  readonly view: NodeView;
  readonly stats: NodeStats;
  /** The handle's monotonic clock. */
  readonly nowMs: number;
  /** Unix milliseconds. */
  readonly wallMs: number;
  readonly tally: EventTally;
  readonly outer: OuterNumbers;
  readonly version: string;
}

/** One reading of each outer room. */
export interface OuterNumbers {
  readonly management: ManagementReading | undefined;
  readonly discovery: DiscoveryReading | undefined;
  readonly http: HttpReading | undefined;
  readonly serfRpc: SerfRpcReading | undefined;
}

type Value = number | undefined;
/** Label values in the order of the family's label names, then the value. */
type Sample = readonly [...string[], number];
type HistogramValues = Awaited<ReturnType<Histogram['get']>>;

export class Families {
  readonly #registry: Registry;
  readonly #read: () => Reading;

  constructor(registry: Registry, read: () => Reading) {
    this.#registry = registry;
    this.#read = read;
  }

  gauge(name: string, help: string, value: (reading: Reading) => Value): void {
    const read = this.#read;
    const gauge = new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const now = value(read());
        if (isSample(now)) gauge.set(now);
        else gauge.remove({});
      },
    });
  }

  gauges(
    name: string,
    help: string,
    labelNames: readonly string[],
    samples: (reading: Reading) => Iterable<Sample>,
  ): void {
    const read = this.#read;
    const gauge = new Gauge({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        gauge.reset();
        for (const [labels, value] of labelled(labelNames, samples(read()))) gauge.set(labels, value);
      },
    });
  }

  /** `name` ends in `_total`. The node keeps the count; it is copied here. */
  counter(name: string, help: string, value: (reading: Reading) => Value): void {
    const read = this.#read;
    const counter = new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        const now = value(read());
        counter.remove({});
        if (isSample(now)) counter.inc(now);
      },
    });
  }

  counters(
    name: string,
    help: string,
    labelNames: readonly string[],
    samples: (reading: Reading) => Iterable<Sample>,
  ): void {
    const read = this.#read;
    const counter = new Counter({
      name,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        counter.reset();
        for (const [labels, value] of labelled(labelNames, samples(read()))) counter.inc(labels, value);
      },
    });
  }

  /** Always 1; the labels are what it says. */
  info(
    name: string,
    help: string,
    labelNames: readonly string[],
    labels: (reading: Reading) => readonly string[],
  ): void {
    this.gauges(name, help, labelNames, (reading) => [[...labels(reading), 1]]);
  }

  histogram(name: string, help: string, value: (reading: Reading) => CumulativeBuckets | undefined): void {
    this.#registry.registerMetric(new ReadHistogram(name, help, () => value(this.#read())));
  }
}

/** prom-client counts observations itself; ours are counted where they happen, by the disk's own thread for one. */
class ReadHistogram extends Histogram {
  readonly #name: string;
  readonly #value: () => CumulativeBuckets | undefined;
  /** Never observes anything; it has the fields around the samples. */
  readonly #frame: Histogram;

  constructor(name: string, help: string, value: () => CumulativeBuckets | undefined) {
    super({ name, help, registers: [] });
    this.#name = name;
    this.#value = value;
    this.#frame = new Histogram({ name, help, registers: [] });
  }

  override async get(): Promise<HistogramValues> {
    return { ...(await this.#frame.get()), values: this.#samples() };
  }

  /** What the registry asks for instead of `get` when it renders text. */
  getForPromString(): Promise<HistogramValues> {
    return this.get();
  }

  #samples(): HistogramValues['values'] {
    const read = this.#value();
    if (read === undefined) return [];
    const bucket = `${this.#name}_bucket`;
    return [
      ...read.buckets.map(({ le, count }) => ({ metricName: bucket, labels: { le }, value: count })),
      { metricName: bucket, labels: { le: '+Inf' }, value: read.count },
      { metricName: `${this.#name}_sum`, labels: {}, value: read.sum },
      { metricName: `${this.#name}_count`, labels: {}, value: read.count },
    ];
  }
}

function isSample(value: Value): value is number {
  return value !== undefined && Number.isFinite(value);
}

function* labelled(
  names: readonly string[],
  samples: Iterable<Sample>,
): Generator<readonly [Record<string, string>, number]> {
  for (const sample of samples) {
    const value = sample.at(-1);
    if (typeof value !== 'number' || !Number.isFinite(value)) continue;
    yield [Object.fromEntries(names.map((name, at) => [name, String(sample[at])])), value];
  }
}
