// @ts-check
/** The text chat: who and when, what is not read yet, and what cannot go yet. */

import { append, element, fromTemplate, html, isAtEnd, make } from './dom.js';
import { on, part, setText, setTime } from './dom.js';
import { nameOf } from './people.js';

/** @import { Peer, Room } from "../room.js" */

const LINES_MOST = 500;

const log = html('log');
/** Lines of ours, and those whose channel they wait for. @type {Map<Element, Set<Peer>>} */
const waiting = new Map();
const newLine = make('p', 'new', 'New');
let unread = 0;
let title = document.title;

/** @param {Room} room @param {string} place */
export function startChat(room, place) {
  title = document.title = `${place} · partyline`;
  const field = element('text', HTMLInputElement);
  element('say', HTMLFormElement).onsubmit = (event) => {
    event.preventDefault();
    const text = field.value;
    field.value = '';
    write(room, text);
  };
  const update = () => showWhetherItCanGo(room);
  on(room, 'message', ({ peer, data }) => {
    say('theirs', nameOf(peer.id), String(data));
    noteUnread();
  });
  on(room, 'change', ({ peer }) => {
    if (peer.ready) settle(peer);
    update();
  });
  on(room, 'peer', update);
  on(room, 'leave', ({ peer }) => {
    settle(peer, `${nameOf(peer.id)} left before it could go`);
    update();
  });
  on(room, 'state', update);
  log.onscroll = document.onvisibilitychange = window.onfocus = read;
  new ResizeObserver(read).observe(log); // the view is shown
  update();
}

/** @param {string} text that somebody came, or went */
export function tell(text) {
  say('nobody', '', text);
  if (!log.clientHeight) setText(html('news'), text); // the other view is shown
}

/** @param {Room} room @param {string} text */
function write(room, text) {
  const row = say('mine', 'You', text);
  const late = new Set();
  for (const peer of readers(room)) {
    try {
      peer.send(text);
      if (!peer.ready) late.add(peer);
    } catch {
      tell(`${nameOf(peer.id)} does not get it: too much waits already`);
    }
  }
  if (late.size) waiting.set(row, late);
  showLate(row);
}

/** What waited for it has gone, or is lost. @param {Peer} peer @param {string} [lost] */
function settle(peer, lost) {
  for (const [row, late] of waiting) {
    if (!late.delete(peer)) continue;
    if (lost) row.append(make('span', 'late', lost));
    showLate(row);
    if (!late.size) waiting.delete(row);
  }
}

/** @param {Element} row */
function showLate(row) {
  const names = [...(waiting.get(row) ?? [])].map(({ id }) => nameOf(id));
  part(row, '.late').textContent = names.length ? `Waits for ${names.join(', ')}` : '';
}

/** Whom we are connected with, or soon will be. @param {Room} room */
function readers({ peers }) {
  return [...peers.values()].filter(({ relation }) => relation === 'accepted');
}

/** @param {Room} room */
function showWhetherItCanGo(room) {
  const peers = readers(room);
  const some = peers.some(({ ready }) => ready);
  const over = room.state === 'closed' && !some;
  let words = some ? '' : 'What you send waits for a connection.';
  if (!peers.length) words = 'You are connected with nobody yet.';
  if (!room.peers.size) words = 'Nobody is here to read it yet.';
  if (over) words = 'The room is closed.';
  setText(html('can-go'), words);
  element('text', HTMLInputElement).disabled = over;
  element('send', HTMLButtonElement).disabled = over || !peers.length;
}

/** @param {"mine" | "theirs" | "nobody"} whose @param {string} name @param {string} text */
function say(whose, name, text) {
  const row = fromTemplate('line');
  const now = new Date();
  row.dataset.whose = whose;
  part(row, '.name').textContent = name;
  part(row, '.text').textContent = text;
  setTime(row, now, now.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit' }));
  if (whose === 'mine') log.scrollTop = log.scrollHeight;
  append(log, row, LINES_MOST);
  return row;
}

function isRead() {
  return document.visibilityState === 'visible' && document.hasFocus() && log.clientHeight && isAtEnd(log);
}

function noteUnread() {
  if (isRead()) return newLine.remove();
  if (!unread) log.lastElementChild?.before(newLine);
  showUnread(unread + 1);
}

function read() {
  if (unread && isRead()) showUnread(0); // the mark stays until the next message is read at once
}

/** @param {number} count */
function showUnread(count) {
  unread = count;
  setText(html('unread'), unread ? `${unread}` : '');
  document.title = unread ? `(${unread}) ${title}` : title;
}
