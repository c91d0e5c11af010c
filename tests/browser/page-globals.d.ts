/** Globals that the tests of the built-in page define in the browser. */

declare global {
  /** The first 80 characters of the HTML of each animated element. */
  var moved: string[];
  /** Returns the layout shifts without recent user input since the last call, as text. */
  var takeShifts: () => string[];
  /** All layout shifts since the test last cleared this array, as text. */
  var allShifts: string[];
  /** The argument of the last `navigator.share`. */
  var shared: { title: string; url: string };
}

export {};
