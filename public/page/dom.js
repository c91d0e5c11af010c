// @ts-check
/** What the page's modules need of the document. All that others send goes through `setText`. */

/** @template {Element} T @param {string} id @param {new () => T} type @returns {T} */
export function element(id, type) {
  const found = document.getElementById(id);
  if (found instanceof type) return found;
  throw new Error(`index.html has no ${type.name} #${id}`);
}

/** @param {string} id @returns {HTMLElement} */
export const html = (id) => element(id, HTMLElement);

/** @param {string} id @returns {HTMLElement} the first element of a template's new copy */
export function fromTemplate(id) {
  const copy = element(id, HTMLTemplateElement).content.cloneNode(true);
  return /** @type {HTMLElement} */ (/** @type {DocumentFragment} */ (copy).firstElementChild);
}

/** @param {Element} parent @param {string} selector @returns {HTMLElement} */
export function part(parent, selector) {
  return /** @type {HTMLElement} */ (parent.querySelector(selector));
}

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {string} [className]
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
  const made = make('button', 'quiet', words);
  made.type = 'button';
  made.onclick = press;
  return made;
}

/**
 * Writing the same text again would make screen readers say it again.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * @template {keyof import("../room.js").RoomEvents} T
 * @param {import("../room.js").Room} room
 * @param {T} type
 * @param {(detail: import("../room.js").RoomEvents[T]) => void} handle
 */
export function on(room, type, handle) {
  room.addEventListener(type, (event) => handle(/** @type {CustomEvent} */ (event).detail));
}
