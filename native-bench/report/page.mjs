/*
 * docs/BENCHMARKS.md as a function of the results of runs: every figure on the page comes from here, and
 * a test compares the page with what this gives. Charts are described, and drawn by charts.mjs.
 */
import { short } from '../../test/bench/statistics.mjs';
import { absent, rowsOf } from '../peers/table.mjs';
import { judgeAims } from './aims.mjs';
import { published } from './published.mjs';
import { reasonsFor } from './reasons.mjs';

const folder = 'benchmarks';

/**
 * `{ markdown, charts, unexplained }` of the runs that there are; each of `bench`, `peers`, `large`, `scale`
 * may be missing. `unexplained` are missed aims of which the page does not say what stands between.
 */
export function renderPage({ bench, peers, large, scale }) {
  const charts = [];
  const summary = summaryOf({ bench, peers, large });
  const parts = [
    intro({ bench, peers, large, scale }),
    summary.markdown,
    bench === undefined ? '' : engine(bench, charts),
    peers === undefined ? '' : beside(peers, charts),
    large === undefined ? '' : besideLarge(large, charts),
    scale === undefined ? '' : growth(scale, charts),
    publishedPart(),
  ];
  const markdown = `${parts.filter((part) => part !== '').join('\n\n')}\n`;
  return { markdown, charts, unexplained: summary.unexplained };
}

function intro(runs) {
  const found = Object.entries(runs).filter(([, run]) => run !== undefined);
  const rows = found.map(([name, { command, size, machine, rounds }]) => [
    name,
    `\`${command.replace(/ --$/, '')}\``,
    size,
    rounds ?? 'see each',
    machine.date.slice(0, 16).replace('T', ' '),
    machine.loadBefore.map((load) => load.toFixed(1)).join(' '),
  ]);
  const [, { machine }] = found[0];
  // `beside`: other work that whoever ran it has noted in the results.
  const busy = found.filter(
    ([, { machine, beside }]) => beside === true || machine.loadBefore[0] > machine.cores,
  );
  const small = found.some(([, { size }]) => size === 'quick' || size === 'smoke');
  return [
    '# Benchmarks',
    '',
    'Generated from the results in `native-bench/results` by `npm run bench:report`; a test compares the page',
    'with them. Figures compare with figures of the same run on the same machine only.',
    '',
    table(['run', 'command', 'sizes', 'rounds', 'made (UTC)', 'load before'], rows),
    '',
    `Machine: ${machine.processor}, ${machine.cores} cores, ${short(machine.memoryBytes)}B of memory; ` +
      `${machine.platform}; Node ${machine.node}; file system type ${machine.fileSystem}.`,
    ...(small
      ? [
          '',
          'Sizes are not the full ones in every run: small runs show that the machinery works, not how fast it is.',
        ]
      : []),
    ...(busy.length > 0
      ? [
          '',
          `The machine was busy with other work at: ${busy.map(([name]) => name).join(', ')}. Rates and times of such runs, and`,
          'ratios to limits too, say little; counts and bytes hold.',
        ]
      : []),
  ].join('\n');
}

function summaryOf({ bench, peers, large }) {
  const rows = [];
  for (const { results } of bench?.benchmarks ?? []) {
    for (const { name, unit, median, limit, aim } of results) {
      if (aim === undefined) continue;
      const reached =
        aim.ratioMin === undefined ? `${short(median)} ${unit}` : limit?.ratio.toPrecision(3);
      rows.push([name, aim.text, reached, aim.met ? 'met' : '**missed**']);
    }
  }
  const judged = [peers, large].flatMap((run) => judgeAims(run?.works ?? []));
  for (const { about, peer, ahead, least, met } of judged) {
    const aim = `${Number(least.toPrecision(3))} times ${peer}`;
    rows.push([about, aim, ahead.toPrecision(3), met ? 'met' : '**missed**']);
  }
  if (rows.length === 0) return { markdown: '', unexplained: [] };
  const missed = rows.filter(([, , , verdict]) => verdict !== 'met').map(([name]) => name);
  const { texts, without } = reasonsFor(missed);
  const lines = [
    '## Aims',
    '',
    `${rows.length - missed.length} of ${rows.length} are met. Of peers the nearest one stands here.`,
    '',
    table(['figure', 'aim', 'reached', ''], rows),
    ...(texts.length === 0 ? [] : ['', 'What stands between, where aims are missed:', '']),
    ...texts.map((text) => wrapped(`- ${text}`)),
  ];
  return { markdown: lines.join('\n'), unexplained: without };
}

/** An item of a list in lines of up to 120 characters. */
function wrapped(text) {
  return text.replaceAll(/(.{1,118})(?: |$)/g, '$1\n  ').trimEnd();
}

function engine({ benchmarks }, charts) {
  const parts = ['## The engine beside its limits', ''];
  parts.push(
    'A limit is what the machine gave in the same run for the work that cannot be avoided. Commits are durable (level',
    '`disk`) unless it says otherwise.',
  );
  for (const { name, title, rounds, results } of benchmarks) {
    const rows = results.map((result) => [
      result.name,
      `${short(result.median)} ${result.unit}`,
      spread(result),
      result.processor ? `${short(result.processor.median)} ${result.unit}` : '',
      result.limit ? result.limit.ratio.toPrecision(3) : '',
      result.published?.text ?? '',
    ]);
    const heads = [
      '',
      'median',
      'least … greatest',
      'by processor time',
      'of its limit',
      'published',
    ];
    parts.push(
      '',
      `### ${title}`,
      '',
      `Medians of ${rounds}.`,
      '',
      table(...withoutEmpty(heads, rows)),
    );
    const bars = results.filter(({ limit }) => limit);
    if (bars.length < 2) continue;
    charts.push({
      file: `${folder}/bench-${name}.svg`,
      kind: 'bars',
      title,
      unit: 'part of the limit',
      bars: bars.map((result) => ({ label: result.name, value: result.limit.ratio })),
    });
    parts.push('', `![${title}](${folder}/bench-${name}.svg)`);
  }
  return parts.join('\n');
}

function beside({ contenders, missing, works }, charts) {
  const parts = ['## Beside its peers', ''];
  parts.push(
    'Each contender in each round is a fresh process in a fresh directory; contenders take turns within a round. Each is',
    'tuned as its documentation says (`native-bench/peers/contenders` has the settings with their sources). "Ahead" is how',
    'many times as good Tidemark is: below 1 the peer wins.',
    '',
    table(
      ['contender', 'version', 'durability'],
      contenders.map(({ name, version, durability }) => [name, version, durability]),
    ),
  );
  for (const { name, why } of missing) parts.push('', `Not here: ${name} (${why.split('\n')[0]}).`);
  parts.push(...worksOf(works, charts, 'peers'));
  return parts.join('\n');
}

function besideLarge({ works }, charts) {
  return [
    '## Beside its peers, with more',
    '',
    'As above, with ten times the entries and three times the events: a run of its own.',
    ...worksOf(works, charts, 'peers-large'),
  ].join('\n');
}

/** Tables and a chart for each work; charts are named after the run. */
function worksOf(works, charts, run) {
  const parts = [];
  for (const work of works) {
    parts.push('', `### (${work.letter}) ${work.title}`);
    for (const metric of work.metrics) {
      const title = `${metric.title ?? metric.name}, ${metric.unit}`;
      const [heads, rows] = comparison(work, metric, title);
      if (rows.length > 0) parts.push('', table(heads, rows));
    }
    const gone = [...absent(work)];
    if (gone.length > 0) parts.push('', ...gone.map(([name, why]) => `- ${name}: ${why}`));
    const [metric] = work.metrics;
    const file = `${folder}/${run}-${work.letter}.svg`;
    charts.push({
      file,
      kind: 'groups',
      title: `(${work.letter}) ${work.title}`,
      unit: `${metric.title ?? metric.name}, ${metric.unit}`,
      bars: work.cases.flatMap((one) =>
        rowsOf(work, one, metric).map(({ title, median }) => ({
          group: one.name,
          label: title,
          value: median,
        })),
      ),
    });
    parts.push('', `![(${work.letter}) ${work.title}](${file})`);
  }
  return parts;
}

/** Contenders down, cases across: median, spread, how far ahead. */
function comparison(work, metric, title) {
  const found = work.cases.map((one) => rowsOf(work, one, metric));
  const names = [...new Set(found.flatMap((rows) => rows.map((row) => row.title)))];
  const cellsOf = (name) =>
    found.flatMap((cells) => {
      const cell = cells.find((row) => row.title === name);
      if (cell === undefined) return ['', ''];
      const ahead = cell.ahead === undefined ? '' : cell.ahead.toPrecision(3);
      return [`${short(cell.median)} (${spread(cell)})`, ahead];
    });
  const rows = names.map((name) => [name].concat(cellsOf(name)));
  return [[title, ...work.cases.flatMap(({ name }) => [name, 'ahead'])], rows];
}

function growth({ benchmarks }, charts) {
  const parts = ['## As the work grows'];
  for (const { name, title, rounds, charts: wanted, results } of benchmarks) {
    parts.push('', `### ${title}`, '', `Medians of ${rounds}.`);
    const places = [...new Set(results.map(({ at }) => at))];
    const series = [...new Set(results.map((result) => result.series))];
    const cellsOf = (one) =>
      places.map((at) => {
        const found = results.find((result) => result.series === one && result.at === at);
        return found ? `${short(found.median)} ${found.unit}` : '';
      });
    const rows = series.map((one) => [one].concat(cellsOf(one)));
    const x = wanted[0]?.x ?? '';
    const heads = places.map((at) => (typeof at === 'number' ? at.toLocaleString('en') : at));
    parts.push('', table([x, ...heads], rows));
    for (const { unit, x: axis, scale } of wanted) {
      const points = results.filter(({ chart }) => chart === unit);
      if (points.length === 0) continue;
      const file = `${folder}/scale-${name}-${unit.replaceAll(/\W+/g, '-')}.svg`;
      charts.push({
        file,
        kind: 'lines',
        title,
        unit,
        x: axis,
        scale,
        points: points.map(({ series: label, at, median }) => ({ label, x: at, value: median })),
      });
      parts.push('', `![${title}, ${unit}](${file})`);
    }
  }
  return parts.join('\n');
}

function publishedPart() {
  return [
    '## Published figures',
    '',
    'What the field claims for such engines, as the aims of this project have it; no page that measures these figures, with',
    'machine, record size and durability, was found. Ours beside them are durable ones.',
    '',
    ...Object.values(published).map((line) => `- ${line}`),
  ].join('\n');
}

/** Leaves out columns in which nothing stands. */
function withoutEmpty(heads, rows) {
  const kept = heads.map((_, i) => i).filter((i) => rows.some((row) => row[i] !== ''));
  return [kept.map((i) => heads[i]), rows.map((row) => kept.map((i) => row[i]))];
}

function spread({ least, greatest }) {
  return `${short(least)} … ${short(greatest)}`;
}

function table(heads, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(heads), line(heads.map(() => '---')), ...rows.map(line)].join('\n');
}
