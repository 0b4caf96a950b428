/** Line charts as SVG text: enough for the figures in docs/, readable on light and dark pages. */

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** `theory` is drawn dashed, `measured` with a dot at each point. */
  readonly style: 'theory' | 'measured';
  /** Index into the palette: a measurement and its theory share one. */
  readonly colour: number;
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly xScale?: 'linear' | 'log';
  /** Top of the y axis; by default what the points need. */
  readonly yMax?: number;
  readonly series: readonly Series[];
}

const WIDTH = 760;
const HEIGHT = 420;
const MARGIN = { left: 64, right: 24, top: 44, bottom: 52 };
const LEGEND_WIDTH = 236;
const LEGEND_LINE = 18;
const TICKS = 6;
const PALETTE: readonly string[] = ['#1f77b4', '#d62728', '#2ca02c', '#9467bd', '#8c564b', '#e377c2', '#7f7f7f'];

export function plotToSvg(plot: Plot): string {
  const { xScale = 'linear' } = plot;
  const points = plot.series.flatMap((series) => series.points);
  const xs = points.map(([x]) => x);
  const [xLow, xHigh] = [Math.min(...xs), Math.max(...xs)];
  const yHigh = plot.yMax ?? niceCeiling(Math.max(...points.map(([, y]) => y)));
  const place = (x: number): number => (xScale === 'log' ? Math.log(x) : x);
  const right = WIDTH - MARGIN.right - LEGEND_WIDTH;
  const bottom = HEIGHT - MARGIN.bottom;
  const px = (x: number): number =>
    MARGIN.left + ((place(x) - place(xLow)) / (place(xHigh) - place(xLow) || 1)) * (right - MARGIN.left);
  const py = (y: number): number => bottom - (Math.min(y, yHigh) / yHigh) * (bottom - MARGIN.top);
  const xTicks = xScale === 'log' ? [...new Set(xs)].sort((a, b) => a - b) : ticksTo(xLow, niceCeiling(xHigh), xHigh);
  const axes = [
    ...xTicks.map((x) => tick(px(x), bottom, px(x), MARGIN.top) + label(px(x), bottom + 18, round(x), 'middle')),
    ...ticksTo(0, yHigh, yHigh).map(
      (y) => tick(MARGIN.left, py(y), right, py(y)) + label(MARGIN.left - 8, py(y) + 4, round(y), 'end'),
    ),
  ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    `<text x="${MARGIN.left}" y="24" font-size="15" fill="#222222">${escape(plot.title)}</text>`,
    ...axes,
    label((MARGIN.left + right) / 2, HEIGHT - 14, plot.x, 'middle'),
    `<text transform="translate(18 ${(MARGIN.top + bottom) / 2}) rotate(-90)" text-anchor="middle" fill="#444444">${escape(plot.y)}</text>`,
    ...plot.series.map((series) => drawn(series, px, py)),
    ...plot.series.map((series, index) => legend(series, right + 16, MARGIN.top + 8 + index * LEGEND_LINE)),
    '</svg>',
    '',
  ].join('\n');
}

function drawn({ points, style, colour }: Series, px: (x: number) => number, py: (y: number) => number): string {
  const stroke = PALETTE[colour % PALETTE.length];
  const at = points.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`);
  const dash = style === 'theory' ? ' stroke-dasharray="6 4"' : '';
  const line = `<polyline fill="none" stroke="${stroke}" stroke-width="2"${dash} points="${at.join(' ')}"/>`;
  if (style === 'theory' || points.length > 30) return line;
  return (
    line +
    points
      .map(([x, y]) => `<circle cx="${px(x).toFixed(1)}" cy="${py(y).toFixed(1)}" r="3" fill="${stroke}"/>`)
      .join('')
  );
}

function legend({ name, style, colour }: Series, x: number, y: number): string {
  const dash = style === 'theory' ? ' stroke-dasharray="6 4"' : '';
  const line = `<line x1="${x}" y1="${y}" x2="${x + 26}" y2="${y}" stroke="${PALETTE[colour % PALETTE.length]}" stroke-width="2"${dash}/>`;
  return line + label(x + 32, y + 4, name, 'start');
}

function tick(x1: number, y1: number, x2: number, y2: number): string {
  const at = [x1, y1, x2, y2].map((value) => value.toFixed(1));
  return `<line x1="${at[0]}" y1="${at[1]}" x2="${at[2]}" y2="${at[3]}" stroke="#e4e4e4"/>`;
}

function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}" fill="#444444">${escape(text)}</text>`;
}

/** Round numbers from `low` to `high`, up to `most`. */
function ticksTo(low: number, high: number, most: number): number[] {
  const step = niceCeiling((high - low) / TICKS);
  const ticks: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= most * 1.000001; value += step) ticks.push(value);
  return ticks;
}

/** The next of 1, 2, 2.5, 5 times a power of ten. */
function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= value * 0.999_999) ?? 10;
  return step * power;
}

function round(value: number): string {
  return String(Number(value.toPrecision(6)));
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
