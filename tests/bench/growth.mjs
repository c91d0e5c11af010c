// @ts-check
/** Measures how the CPU time grows with the size of a room and with the number of rooms. */

import { Figures, short, table } from './figures.mjs';
import { draw } from './picture.mjs';
import { SERVERS, start } from './servers.mjs';

/**
 * @param {{ ask: (measure: string, how: object) => Promise<any> }} load
 * @param {string[]} names
 * @param {boolean} quick
 */
export async function growth(load, names, quick) {
  const sizes = quick ? [2, 8, 64] : [2, 8, 64, 512];
  const most = quick ? 64 : 2048;
  const counts = quick ? [1, 10, 50] : [1, 10, 100, 1000];
  const figures = new Figures();
  for (let round = 0; round < 2; round++) {
    console.log(`partyline: growth, round ${round + 1}`);
    const started = await Promise.all(names.map((name) => start(name)));
    const servers = started.map(({ pid, port, protocol }) => ({ pid, port, protocol }));
    await load.ask('signals', {
      servers,
      signalType: 'candidate',
      rooms: 50,
      each: quick ? 30 : 90,
    });
    const keep = (/** @type {string} */ name, /** @type {any[]} */ sizes) => {
      for (const { size, join, signal, broadcast } of sizes) {
        figures.add(`join ${size}`, name, join);
        figures.add(`signal ${size}`, name, signal);
        figures.add(`broadcast ${size}`, name, broadcast);
      }
    };
    const grown = await load.ask('growth', { servers, sizes });
    names.forEach((name, place) => keep(name, grown[place]));
    // The largest room uses the forum dialect, which has no join notices. In a dialect with join
    // notices, filling the room would take two million frames.
    if (!quick) {
      const [ours] = await load.ask('growth', {
        servers: [{ ...servers[0], protocol: 'forum' }],
        sizes: [most],
      });
      keep(names[0], ours);
    }
    for (const rooms of counts) {
      const each = Math.min(90, Math.ceil((quick ? 1000 : 4000) / rooms / 2));
      const spent = await load.ask('signals', { servers, signalType: 'candidate', rooms, each });
      names.forEach((name, place) => figures.add(`rooms ${rooms}`, name, spent[place].cpu));
    }
    for (const [place, name] of names.entries()) {
      const peers = quick ? 128 : 512;
      const { cpu, millis, frames, bystander } = await load.ask('burst', {
        server: servers[place],
        peers,
      });
      figures.add('burst of joins, CPU µs', name, cpu);
      figures.add('burst of joins, ms', name, millis);
      figures.add('burst of joins, frames', name, frames);
      figures.add('burst of joins, round trip in another room, p50 µs', name, bystander.p50);
      figures.add('burst of joins, round trip in another room, max µs', name, bystander.most);
    }
    await Promise.all(started.map((server) => server.stop()));
  }
  const rows = Object.keys(figures.toJSON()).sort(byNameAndSize);
  const lines = rows.map((row) => [
    row,
    ...names.map((name) => short(figures.median(row, name))),
    ...names.slice(1).map((name) => short(figures.ratio(row, 'ours', name))),
  ]);
  const labels = names.map((name) => SERVERS[name].label);
  return {
    figures,
    table: table(['µs of CPU', ...labels, ...labels.slice(1).map((label) => `to ${label}`)], lines),
    picture: draw(
      [
        { title: 'the n-th join in a room', rows: 'join', sizes: [...sizes, most] },
        { title: 'a signal to one of n peers in a room', rows: 'signal', sizes: [...sizes, most] },
        { title: 'a broadcast to n peers in a room', rows: 'broadcast', sizes: [...sizes, most] },
        { title: 'a signal with n rooms of two', rows: 'rooms', sizes: counts },
      ],
      names.map((name) => ({ label: SERVERS[name].label, at: (row) => figures.median(row, name) })),
    ),
  };
}

/** @param {string} a @param {string} b */
function byNameAndSize(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}
