/*
 * The charts of `tidemark tune --html`: one file that holds its script and its figures, and asks no
 * network for anything. The script is chart.js, an optional dependency, which is read where it is
 * installed and only for this.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { TuneReport } from '../engine/index.ts';
import { InvalidArgumentError } from '../errors.ts';
import { row, rowHeadings } from './tune-row.ts';

/** Makes the page of a report. @throws InvalidArgumentError INVALID_OPTION without chart.js */
export function tuningPage(): (report: TuneReport) => string {
  const script = chartScript();
  return (report) => page(report, script);
}

function chartScript(): string {
  try {
    // The bundle stands beside the module that the package exports.
    const module = import.meta.resolve('chart.js');
    return readFileSync(fileURLToPath(new URL('./chart.umd.min.js', module)), 'utf8');
  } catch (error) {
    throw new InvalidArgumentError(
      'INVALID_OPTION',
      'the charts need the package chart.js: install it beside tidemark',
      { option: 'html', packageName: 'chart.js' },
      error,
    );
  }
}

function page(report: TuneReport, script: string): string {
  const { tried, options, notes, reachable, source } = report;
  const points = tried.map((each) => ({
    label: row(each).join(' · '),
    codec: each.settings.codec.codec,
    chain: each.settings.policy.maxChainLength,
    restore: each.outcome.restoreSeconds.worst,
    stored: each.outcome.storedBytes.worst / 2 ** 20,
    writes: each.outcome.writeAmplification,
  }));
  const rows = tried.map((each) => `<tr>${cells(row(each))}</tr>`).join('\n');
  const head = rowHeadings.map((heading) => `<th>${escape(heading)}</th>`).join('');
  const span = (source.milliseconds / 1000).toFixed(1);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>tidemark tune</title>
<style>${style}</style>
<h1>tidemark tune</h1>
<p>${source.commits} commits, ${source.entries} entries, ${source.logBytes} bytes of log in ${span} s.</p>
<h2>${reachable ? 'Recommended' : 'Nearest to what was wished for'}</h2>
<pre>${escape(JSON.stringify(options, null, 2))}</pre>
${notes.map((note) => `<p>${escape(note)}</p>`).join('\n')}
<h2>Restore, storage and writing</h2>
<div class="charts"><canvas id="stored"></canvas><canvas id="writes"></canvas></div>
<h2>All that was tried</h2>
<table><thead><tr>${head}</tr></thead><tbody>
${rows}
</tbody></table>
<script>${script}</script>
<script>
const points = ${JSON.stringify(points).replaceAll('<', '\\u003c')};
${drawing}
</script>
</html>
`;
}

function cells(texts: readonly string[]): string {
  return texts.map((text) => `<td>${escape(text)}</td>`).join('');
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: 0.25rem 0.6rem; text-align: left; }
tbody tr:first-child { background: #e8f4ec; }
pre { background: #f4f4f4; padding: 1rem; overflow: auto; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(28rem, 1fr)); gap: 2rem; }
`;

/** Runs in the page. */
const drawing = `
const codecs = [...new Set(points.map((point) => point.codec))];
const colours = ['#2b6cb0', '#c05621', '#2f855a', '#6b46c1', '#b7791f', '#4a5568', '#97266d'];
function draw(id, axis, title) {
  new Chart(document.getElementById(id), {
    type: 'scatter',
    data: {
      datasets: codecs.map((codec, i) => ({
        label: codec,
        backgroundColor: colours[i % colours.length],
        data: points
          .filter((point) => point.codec === codec)
          .map((point) => ({ x: point.restore, y: point[axis], text: point.label })),
      })),
    },
    options: {
      animation: false,
      plugins: {
        title: { display: true, text: title },
        tooltip: { callbacks: { label: (item) => item.raw.text } },
      },
      scales: {
        x: { title: { display: true, text: 'worst restore, seconds' } },
        y: { title: { display: true, text: title } },
      },
    },
  });
}
draw('stored', 'stored', 'stored at most, MiB');
draw('writes', 'writes', 'bytes written for a byte of log');
`;
