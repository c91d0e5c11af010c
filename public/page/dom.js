// @ts-check
/**
 * What the page's modules need of the document, where all that others send is text, never markup;
 * and what went wrong, which stays until it is over or put away.
 */

/** @import { Room, RoomEvents } from "../room.js" */

/** @type {Map<string, HTMLElement>} */
const problems = new Map();

/** @template {Element} T @param {string} id @param {new () => T} type @returns {T} */
export function element(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} #${id}`);
}

/** @param {string} id */
export const html = (id) => element(id, HTMLElement);

/** A new copy of a template. @param {string} id */
export function fromTemplate(id) {
  return part(document.importNode(element(id, HTMLTemplateElement).content, true), '*');
}

/** @param {ParentNode} parent @param {string} selector @returns {HTMLElement} */
export function part(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {...(string | Node)} content
 */
export function make(tag, className = '', ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

/** @param {string} words @param {() => void} press */
export function button(words, press) {
  const made = make('button', '', words);
  made.type = 'button';
  made.onclick = press;
  return made;
}

/** The same text again would be read out again. @param {Element} node @param {string} text */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} row @param {Date} when @param {string} words */
export function setTime(row, when, words) {
  const time = part(row, 'time');
  time.setAttribute('datetime', when.toISOString());
  setText(time, words);
}

/** @param {Element} list */
export function isAtEnd({ scrollHeight, scrollTop, clientHeight }) {
  return scrollHeight - scrollTop - clientHeight < 40;
}

/**
 * Scrolls, unless somebody reads further up.
 * @param {Element} list
 * @param {Element} row
 * @param {number} most
 */
export function append(list, row, most) {
  const follow = isAtEnd(list);
  list.append(row);
  if (list.childElementCount > most) list.firstElementChild?.remove();
  if (follow) list.scrollTop = list.scrollHeight;
}

/**
 * @template {keyof RoomEvents} T
 * @param {Room} room
 * @param {T} type
 * @param {(detail: RoomEvents[T]) => void} handle
 */
export function on(room, type, handle) {
  room.addEventListener(type, (event) => handle(/** @type {CustomEvent} */ (event).detail));
}

/** One for each key. @param {string} key @param {string} words @param {...Node} remedies */
export function showProblem(key, words, ...remedies) {
  let row = problems.get(key);
  if (!row) {
    const away = button('Dismiss', () => clearProblem(key));
    row = make('div', 'problem', make('p'), ...remedies, away);
    problems.set(key, row);
    html('problems').append(row);
  }
  setText(part(row, 'p'), words);
}

/** @param {string} key */
export function clearProblem(key) {
  problems.get(key)?.remove();
  problems.delete(key);
}

/** @param {string} words @param {string} href */
export function remedy(words, href) {
  const link = make('a', 'button', words);
  link.href = href;
  return link;
}
