/** What the HTTP server needs of the metrics; apart from them, so that a node whose sink is off never loads prom-client. */

export type MetricsFormat = 'text' | 'openmetrics';

export interface RenderedMetrics {
  readonly contentType: string;
  readonly body: string;
}

export interface MetricsSource {
  render(format: MetricsFormat): Promise<RenderedMetrics>;
  renderClusterfunk(): Promise<RenderedMetrics>;
}
