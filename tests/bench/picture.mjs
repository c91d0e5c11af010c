// @ts-check
/**
 * Draws the measured growth as an SVG image, with one panel per measurement. Both axes are
 * logarithmic, so linear growth appears as a line with slope 1.
 */

const COLOURS = ['#0b6bcb', '#8a8a8a', '#2e9e5b', '#d9772b'];
const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [360, 260, 56, 40, 36];

/**
 * @param {{ title: string, rows: string, sizes: number[] }[]} panels
 * @param {{ label: string, at: (row: string) => number | undefined }[]} servers
 */
export function draw(panels, servers) {
  const legend = servers.map(({ label }, place) => {
    const x = LEFT + place * 170;
    const stroke = `<path d="M${x} 20h24" stroke="${COLOURS[place]}" stroke-width="2"/>`;
    return `${stroke}<text x="${x + 30}" y="24">${label}</text>`;
  });
  const width = WIDTH * 2 + 20;
  const height = 40 + Math.ceil(panels.length / 2) * HEIGHT;
  const drawn = panels.map((panel, place) => {
    const [x, y] = [(place % 2) * WIDTH, 40 + Math.floor(place / 2) * HEIGHT];
    return `<g transform="translate(${x} ${y})">${drawPanel(panel, servers)}</g>`;
  });
  const font = 'font-family="system-ui, sans-serif" font-size="12" fill="#444"';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" ${font}>
<rect width="100%" height="100%" fill="#fff"/>
${[...legend, ...drawn].join('\n')}
</svg>
`;
}

/**
 * @param {{ title: string, rows: string, sizes: number[] }} panel
 * @param {{ label: string, at: (row: string) => number | undefined }[]} servers
 */
function drawPanel({ title, rows, sizes }, servers) {
  const lines = servers.map(({ at }) =>
    sizes.flatMap((size) => {
      const value = at(`${rows} ${size}`);
      return value === undefined ? [] : [{ size, value }];
    }),
  );
  const values = lines.flat().map(({ value }) => value);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
  const along = (
    /** @type {number} */ value,
    /** @type {number} */ from,
    /** @type {number} */ to,
  ) => Math.log(value / from) / (Math.log(to / from) || 1);
  const x = (/** @type {number} */ size) =>
    LEFT + along(size, sizes[0], sizes[sizes.length - 1]) * (WIDTH - LEFT - 20);
  const y = (/** @type {number} */ value) =>
    HEIGHT - BOTTOM - along(value, low, high) * (HEIGHT - TOP - BOTTOM);
  const marks = [];
  for (let value = low; value <= high * 1.01; value *= 10) {
    const text = value >= 1000 ? `${value / 1000} ms` : `${value} µs`;
    marks.push(
      `<path d="M${LEFT} ${y(value)}H${WIDTH - 20}" stroke="#ddd"/>`,
      `<text x="${LEFT - 6}" y="${y(value) + 4}" text-anchor="end">${text}</text>`,
    );
  }
  for (const size of sizes)
    marks.push(
      `<text x="${x(size)}" y="${HEIGHT - BOTTOM + 18}" text-anchor="middle">${size}</text>`,
    );
  const paths = lines.map((line, place) => {
    const path = line
      .map(({ size, value }, n) => `${n ? 'L' : 'M'}${x(size).toFixed(1)} ${y(value).toFixed(1)}`)
      .join('');
    return `<path d="${path}" fill="none" stroke="${COLOURS[place]}" stroke-width="2"/>`;
  });
  const heading = `<text x="${LEFT}" y="${TOP - 14}" font-weight="600">${title}</text>`;
  return [heading, ...marks, ...paths].join('');
}
