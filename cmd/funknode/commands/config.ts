/** `funknode config`: every setting, its value and where it comes from. */
import type { EndpointName, HandlerSpec, NodeConfig } from '../../../src/node-config.ts';
import { type OptionKey, optionMeta, optionName, readOption } from '../../../src/node-config/option-table.ts';
import { inOrder, resolveSettings, type Settings } from '../settings.ts';

interface Row {
  readonly name: string;
  readonly value: unknown;
  readonly shown: string;
  readonly source: string;
  readonly place: string | undefined;
}

/** The text for stdout. Throws ConfigError when a node could not start with these settings. */
export function configText(settings: Settings, asJson: boolean): string {
  const config = resolveSettings(settings);
  const rows = inOrder(settings).map(([key, setting]): Row => {
    const read = readOption(key, setting?.value);
    const isHidden = optionMeta(key).isSecret === true && setting !== undefined;
    const value = isHidden ? '(hidden)' : 'value' in read ? plain(read.value) : undefined;
    return {
      name: optionName(key),
      value: value ?? null,
      shown: shownValue(key, value, config),
      source: setting?.source ?? 'default',
      place: setting?.place,
    };
  });
  return asJson ? jsonOf(rows) : tableOf(rows);
}

function jsonOf(rows: readonly Row[]): string {
  const entries = rows.map(({ name, value, source, place }) => [name, { value, source, ...(place && { place }) }]);
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(({ name, shown, source, place }) => [name, shown, place ?? source]);
  const all = [['SETTING', 'VALUE', 'SOURCE'], ...lines] as [string, string, string][];
  const widths = [0, 1].map((column) => Math.max(...all.map((line) => (line[column] as string).length)));
  const [nameWidth, valueWidth] = widths as [number, number];
  return all
    .map(([name, value, source]) => `${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${source}\n`)
    .join('');
}

/** As JSON has it: maps as records, endpoints as `host:port`. */
function plain(value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value);
  if (Array.isArray(value))
    return value.map((item: string | HandlerSpec) => (typeof item === 'string' ? item : item.text));
  if (typeof value !== 'object' || value === null) return value;
  const { host, port } = value as { readonly host: string; readonly port: number };
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function shownValue(key: OptionKey, value: unknown, config: NodeConfig): string {
  if (value === undefined) return effective(key, config);
  if (optionMeta(key).valueName === 'duration') return `${String(value)}ms`;
  if (key === 'clockDrift') return `${Number((Number(value) * 100).toPrecision(6))}%`;
  if (Array.isArray(value)) return value.join(',') || '-';
  if (typeof value !== 'object' || value === null) return String(value);
  return (
    Object.entries(value)
      .map(([name, text]) => `${name}=${String(text)}`)
      .join(',') || '-'
  );
}

/** What a setting comes to when nobody sets it. */
function effective(key: OptionKey, config: NodeConfig): string {
  if (key === 'interface') return `${config.interface.address} (${config.interface.chosenBy})`;
  if (key === 'dataDir') return config.inMemory ? '-' : `${config.dataRoot}/funknode/${config.clusterName}/<n>`;
  const endpoint = /^(serf|raft|management|liveness|http)Endpoint$/.exec(key)?.[1];
  if (endpoint === undefined) return `- (${optionMeta(key).fallback})`;
  const { bind } = config.endpoints[endpoint as EndpointName];
  return `${plain(bind) as string} or any free port`;
}
