// @ts-check
/** A rate limit: a burst of `capacity` tokens, then `perSecond` tokens a second. */

export class TokenBucket {
  /** @param {number} capacity @param {number} perSecond */
  constructor(capacity, perSecond) {
    this.capacity = capacity;
    this.perSecond = perSecond;
    this.tokens = capacity;
    this.updatedAt = 0;
  }

  /** @param {number} now in milliseconds */
  refill(now) {
    const gained = ((now - this.updatedAt) * this.perSecond) / 1_000;
    this.tokens = Math.min(this.capacity, this.tokens + gained);
    this.updatedAt = now;
  }

  /** Returns the milliseconds until the next token, or 0 if there is one. @param {number} now */
  wait(now) {
    this.refill(now);
    return Math.max(0, ((1 - this.tokens) * 1_000) / this.perSecond);
  }

  /** Takes a token. Returns false if there is none. @param {number} now */
  take(now) {
    if (this.wait(now) > 0) return false;
    this.tokens -= 1;
    return true;
  }
}
