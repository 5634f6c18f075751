/*
 * A flame graph of a CPU profile as one SVG: time to the right, callers above what they call, widths
 * by samples of the function and all that it called. Titles name function, place and share.
 */

const width = 1600;
const rowHeight = 17;
const sharesMin = 0.0005;

export function drawFlames(profile, title) {
  const nodes = new Map(profile.nodes.map((node) => [node.id, { ...node, self: 0 }]));
  for (const id of profile.samples) nodes.get(id).self++;
  const all = profile.samples.length;
  const boxes = [];
  let depthMost = 0;
  const total = (node) =>
    (node.total ??= (node.children ?? []).reduce(
      (sum, id) => sum + total(nodes.get(id)),
      node.self,
    ));
  const place = (node, from, depth) => {
    const share = total(node) / all;
    if (share < sharesMin) return;
    depthMost = Math.max(depthMost, depth);
    boxes.push({ node, from, share, depth });
    let next = from;
    const children = (node.children ?? []).map((id) => nodes.get(id));
    for (const child of children.toSorted((a, b) => total(b) - total(a))) {
      place(child, next, depth + 1);
      next += total(child) / all;
    }
  };
  place(nodes.get(profile.nodes[0].id), 0, 0);
  const height = (depthMost + 3) * rowHeight;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="monospace" font-size="11">`,
    `<text x="4" y="13">${escapeText(title)}: ${all} samples</text>`,
    ...boxes.map(drawBox),
    '</svg>',
    '',
  ].join('\n');
}

function drawBox({ node, from, share, depth }) {
  const { functionName, url, lineNumber } = node.callFrame;
  const name = functionName || '(anonymous)';
  const file = url.split('/').slice(-2).join('/');
  const boxWidth = share * width;
  const letters = Math.floor((boxWidth - 4) / 6.7);
  const label = letters < 3 ? '' : name.slice(0, letters);
  const x = (from * width).toFixed(2);
  const y = (depth + 1) * rowHeight;
  const color = url.startsWith('node:') ? '#9fb7d9' : url === '' ? '#c9c9c9' : '#e8a25c';
  const about = `${name} ${file}:${lineNumber + 1}, ${(share * 100).toFixed(2)} %`;
  return (
    `<g><title>${escapeText(about)}</title>` +
    `<rect x="${x}" y="${y}" width="${boxWidth.toFixed(2)}" height="${rowHeight - 1}" fill="${color}"/>` +
    `<text x="${(from * width + 2).toFixed(2)}" y="${y + 12}">${escapeText(label)}</text></g>`
  );
}

function escapeText(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
