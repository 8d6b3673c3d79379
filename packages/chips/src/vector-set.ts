/** A 256-bit register of the local APIC: eight 32-bit words, sixteen bytes apart in its page (ISR, TMR, IRR). */
export class VectorSet {
  readonly words = new Uint32Array(8)

  has(vector: number): boolean {
    return ((this.#word(vector) >>> (vector & 31)) & 1) !== 0
  }

  add(vector: number): void {
    this.words[vector >> 5] = this.#word(vector) | (1 << (vector & 31))
  }

  delete(vector: number): void {
    this.words[vector >> 5] = this.#word(vector) & ~(1 << (vector & 31))
  }

  clear(): void {
    this.words.fill(0)
  }

  /** Highest member, or -1. */
  highest(): number {
    for (let i = 7; i >= 0; i--) {
      const word = this.words[i] ?? 0
      if (word) return 32 * i + 31 - Math.clz32(word)
    }
    return -1
  }

  #word(vector: number): number {
    return this.words[vector >> 5] ?? 0
  }
}
