// @ts-check
/** The link to this room: in a tile of its own while nobody is here, or when asked for. */

import { element, fromTemplate, on } from './dom.js';
import { add, remove } from './stage.js';

/** @param {import("../room.js").Room} room @param {URL} url */
export function startInvite(room, url) {
  const toggle = element('invite', HTMLButtonElement);
  const invitation = fromTemplate('invitation');
  const show = (/** @type {boolean} */ shown) => {
    toggle.setAttribute('aria-expanded', String(shown));
    if (shown) add('invitation', invitation);
    else remove('invitation');
  };
  toggle.onclick = () => show(toggle.getAttribute('aria-expanded') === 'false');
  on(room, 'peer', () => show(false));
  show(true);

  const link = element('link', HTMLInputElement);
  const copy = element('copy', HTMLButtonElement);
  const share = element('share', HTMLButtonElement);
  const label = copy.textContent;
  link.value = url.href;
  link.onfocus = () => link.select();
  copy.onclick = async () => {
    try {
      await navigator.clipboard.writeText(link.value);
      copy.textContent = 'Copied';
    } catch {
      link.focus(); // no clipboard outside secure contexts: it is selected, ready for the keyboard
      copy.textContent = 'Now copy it';
    }
    setTimeout(() => (copy.textContent = label), 2000);
  };
  share.hidden = !navigator.share;
  share.onclick = () => navigator.share({ title: document.title, url: link.value }).catch(() => {}); // put away
}
