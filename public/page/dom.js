// @ts-check
/**
 * DOM helpers for all modules of the page, and the list of problems. The page shows a problem until
 * it is solved or dismissed. Text from peers and from the server is never parsed as HTML.
 */

/** @import { Room, RoomEvents } from "../room.js" */

/**
 * Maximum distance from the end of a list, in pixels, that still counts as scrolled to the end.
 * This is about one row.
 */
const END_TOLERANCE = 40;

/** @type {Map<string, HTMLElement>} */
const problems = new Map();
/** The intervals of `countDown`. @type {Map<string, ReturnType<typeof setInterval>>} */
const countdowns = new Map();

/**
 * @template {Element} [T=HTMLElement]
 * @param {string} id of an element in `index.html`
 * @param {new () => T} [type]
 * @returns {T}
 */
export function byId(id, type = /** @type {any} */ (HTMLElement)) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  const actual = found ? `is a ${found.constructor.name}` : 'does not exist';
  throw new Error(`#${id} ${actual}; index.html must have a ${type.name} with this id`);
}

/** Returns a copy of the first element in a template. @param {string} id */
export function cloneTemplate(id) {
  return query(document.importNode(byId(id, HTMLTemplateElement).content, true), '*');
}

/**
 * Returns the first match of a selector. The match must exist.
 * @param {ParentNode} parent
 * @param {string} selector
 * @returns {HTMLElement}
 */
export function query(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
 * @param {...(string | Node)} content
 */
export function createElement(tag, className = '', ...content) {
  const created = document.createElement(tag);
  if (className) created.className = className;
  created.append(...content);
  return created;
}

/** @param {string} label @param {() => void} press */
export function createButton(label, press) {
  const created = createElement('button', '', label);
  created.type = 'button';
  created.onclick = press;
  return created;
}

/**
 * Sets the text of a node, unless the node already has this text. In a live region, setting the
 * same text again would make screen readers repeat the text.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} row @param {Date} when @param {string} text */
export function setTime(row, when, text) {
  const time = query(row, 'time');
  time.setAttribute('datetime', when.toISOString());
  setText(time, text);
}

/** @param {Element} list */
export function isAtEnd({ scrollHeight, scrollTop, clientHeight }) {
  return scrollHeight - scrollTop - clientHeight < END_TOLERANCE;
}

/**
 * Appends rows, and scrolls to the last row unless the user has scrolled up. Removes the oldest rows
 * if the list has more than `max` rows.
 * @param {Element} list
 * @param {number} max
 * @param {...Element} rows
 */
export function appendRows(list, max, ...rows) {
  const follow = isAtEnd(list);
  list.append(...rows);
  while (list.childElementCount > max) list.firstElementChild?.remove();
  if (follow) list.scrollTop = list.scrollHeight;
}

/**
 * Returns a function that runs `draw` once in the next frame, however often it is called. Peers can
 * send hundreds of signals per second, and the page must remain usable.
 * @param {() => void} draw
 */
export function oncePerFrame(draw) {
  let scheduled = false;
  return () => {
    if (scheduled) return;
    scheduled = true;
    requestAnimationFrame(() => {
      scheduled = false;
      draw();
    });
  };
}

/**
 * Adds an event listener to a room. The listener receives the `detail` of the event.
 * @template {keyof RoomEvents} T
 * @param {Room} room
 * @param {T} type
 * @param {(detail: RoomEvents[T]) => void} handle
 */
export function on(room, type, handle) {
  room.addEventListener(type, (event) => handle(/** @type {CustomEvent} */ (event).detail));
}

/**
 * Shows a problem, or replaces the text of the problem that has the same key. The links and buttons
 * are replaced only if they differ, because a replaced button loses the keyboard focus.
 * @param {string} key
 * @param {string} text
 * @param {...Node} actions links and buttons that may solve the problem
 */
export function showProblem(key, text, ...actions) {
  const labels = actions.map(({ textContent }) => textContent).join();
  let row = problems.get(key);
  if (!row || row.dataset.actions !== labels) {
    row?.remove();
    const dismiss = createButton('Dismiss', () => clearProblem(key));
    const timer = createElement('span');
    timer.role = 'timer'; // screen readers do not announce its changes
    const words = createElement('p', '', createElement('span'), ' ', timer);
    row = createElement('div', 'problem', words, ...actions, dismiss);
    row.dataset.actions = labels;
    problems.set(key, row);
    byId('problems').append(row);
  }
  setText(query(row, 'p span'), text);
}

/**
 * Shows the time until the next attempt beside a problem, and updates it every second.
 * @param {string} key the key of the problem
 * @param {number} duration in milliseconds
 */
export function countDown(key, duration) {
  clearInterval(countdowns.get(key));
  const end = Date.now() + duration;
  const tick = () => {
    const row = problems.get(key);
    const seconds = Math.ceil((end - Date.now()) / 1000);
    if (row) setText(query(row, '[role=timer]'), seconds > 0 ? `Retrying in ${seconds} s.` : '');
    if (!row || seconds <= 0) clearInterval(countdowns.get(key));
  };
  countdowns.set(key, setInterval(tick, 1000));
  tick();
}

/** @param {string} key */
export function clearProblem(key) {
  problems.get(key)?.remove();
  problems.delete(key);
}

/**
 * Returns the nodes for a text, in which URLs are links.
 * @param {string} text
 */
export function linkified(text) {
  // The last character belongs to the sentence if it is punctuation.
  const parts = text.split(/(https?:\/\/\S*[^\s.,:;!?'")\]>])/);
  return parts.map((part, index) => {
    if (index % 2 === 0 || !URL.canParse(part)) return part;
    const link = createElement('a', '', part);
    Object.assign(link, { href: part, target: '_blank', rel: 'noopener noreferrer' });
    return link;
  });
}

/**
 * Returns a link, styled as a button, that may solve a problem.
 * @param {string} label
 * @param {string} href
 */
export function helpLink(label, href) {
  const link = createElement('a', 'button', label);
  link.href = href;
  return link;
}
