/** A promise was broken: the run ends here, and its seed is the report. */
export class Violation extends Error {}
