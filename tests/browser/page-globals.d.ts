/** What the tests of the page keep in the global scope of the browser. */

declare global {
  /** Elements that were animated, as the start of their HTML. */
  var moved: string[];
  /** Layout shifts without recent user input since the last call, as text. */
  var takeShifts: () => string[];
  /** All layout shifts since the list was last cleared, as text. */
  var allShifts: string[];
  /** The argument of the last `navigator.share`. */
  var shared: { title: string; url: string };
}

export {};
