/*
 * Charts of the page as SVG, by Vega (https://vega.github.io/vega/), without a browser.
 */
import { importInstalled } from '../peers/install.mjs';

const width = 640;

/** The SVG of a chart that page.mjs described. */
export async function drawChart(chart) {
  const vega = await importInstalled('vega');
  const shapes = { bars: barSpec, groups: groupSpec, lines: lineSpec };
  const spec = { ...shapes[chart.kind](chart), background: 'white', padding: 8 };
  const view = new vega.View(vega.parse(spec), { renderer: 'none' });
  return `${await view.toSVG()}\n`;
}

const heading = ({ title }) => ({ text: title, anchor: 'start', fontSize: 14 });

function barSpec(chart) {
  const { bars, unit } = chart;
  return {
    title: heading(chart),
    width,
    height: bars.length * 26,
    data: [{ name: 'bars', values: bars }],
    scales: [
      {
        name: 'value',
        type: 'linear',
        domain: { data: 'bars', field: 'value' },
        range: 'width',
        zero: true,
        nice: true,
      },
      {
        name: 'label',
        type: 'band',
        domain: { data: 'bars', field: 'label' },
        range: 'height',
        padding: 0.2,
      },
    ],
    axes: [
      { orient: 'bottom', scale: 'value', title: unit, tickCount: 6, grid: true },
      { orient: 'left', scale: 'label', labelLimit: 320 },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'bars' },
        encode: {
          enter: {
            x: { scale: 'value', value: 0 },
            x2: { scale: 'value', field: 'value' },
            y: { scale: 'label', field: 'label' },
            height: { scale: 'label', band: 1 },
            fill: { value: '#4c78a8' },
          },
        },
      },
    ],
  };
}

/** Groups side by side on a scale of powers of ten, since peers differ by such. */
function groupSpec(chart) {
  const { bars, unit } = chart;
  const groups = [...new Set(bars.map(({ group }) => group))];
  const values = bars.map(({ value }) => value).filter((value) => value > 0);
  const least = 10 ** Math.floor(Math.log10(Math.min(...values)));
  return {
    title: heading(chart),
    width,
    height: bars.length * 16 + groups.length * 14,
    data: [
      {
        name: 'bars',
        values: bars.map((bar) => Object.assign(bar, { key: `${bar.group}: ${bar.label}` })),
      },
    ],
    scales: [
      {
        name: 'value',
        type: 'log',
        domain: [least, Math.max(...values)],
        range: 'width',
        nice: true,
      },
      {
        name: 'key',
        type: 'band',
        domain: { data: 'bars', field: 'key' },
        range: 'height',
        padding: 0.15,
      },
      {
        name: 'color',
        type: 'ordinal',
        domain: { data: 'bars', field: 'label' },
        range: { scheme: 'tableau10' },
      },
    ],
    axes: [
      { orient: 'bottom', scale: 'value', title: unit, tickCount: 6, grid: true, format: '~s' },
      { orient: 'left', scale: 'key', labelLimit: 420, labelFontSize: 9 },
    ],
    marks: [
      {
        type: 'rect',
        from: { data: 'bars' },
        encode: {
          enter: {
            x: { value: 0 },
            x2: { scale: 'value', field: 'value' },
            y: { scale: 'key', field: 'key' },
            height: { scale: 'key', band: 1 },
            fill: { scale: 'color', field: 'label' },
          },
        },
      },
    ],
  };
}

function lineSpec(chart) {
  const { points, unit, x, scale } = chart;
  const type = typeof points[0].x === 'number' ? scale : 'point';
  const drawn = points.filter(({ value }) => value > 0);
  return {
    title: heading(chart),
    width,
    height: 280,
    data: [{ name: 'points', values: drawn }],
    scales: [
      { name: 'x', type, domain: { data: 'points', field: 'x' }, range: 'width' },
      {
        name: 'y',
        type: 'log',
        domain: { data: 'points', field: 'value' },
        range: 'height',
        nice: true,
      },
      {
        name: 'color',
        type: 'ordinal',
        domain: { data: 'points', field: 'label' },
        range: { scheme: 'tableau10' },
      },
    ],
    axes: [
      {
        orient: 'bottom',
        scale: 'x',
        title: x,
        ...(type === 'point' ? {} : { format: '~s', tickCount: 6 }),
      },
      { orient: 'left', scale: 'y', title: unit, grid: true, tickCount: 6, format: '~s' },
    ],
    legends: [{ stroke: 'color', orient: 'bottom', direction: 'vertical', labelLimit: 600 }],
    marks: [
      {
        type: 'group',
        from: { facet: { name: 'series', data: 'points', groupby: 'label' } },
        marks: ['line', 'symbol'].map((mark) => ({
          type: mark,
          from: { data: 'series' },
          encode: {
            enter: {
              x: { scale: 'x', field: 'x' },
              y: { scale: 'y', field: 'value' },
              [mark === 'line' ? 'stroke' : 'fill']: { scale: 'color', field: 'label' },
              ...(mark === 'line' ? { strokeWidth: { value: 2 } } : { size: { value: 36 } }),
            },
          },
        })),
      },
    ],
  };
}
