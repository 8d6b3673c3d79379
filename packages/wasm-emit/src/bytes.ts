/** A growing byte buffer with LEB128 encodings. */
export class Bytes {
  private data = new Uint8Array(256)
  length = 0

  byte(value: number): void {
    if (this.length === this.data.length) this.reserve(1)
    this.data[this.length++] = value
  }

  /** Unsigned LEB128 of a value below 2^32. */
  unsigned(value: number): void {
    value >>>= 0
    while (value > 0x7f) {
      this.byte((value & 0x7f) | 0x80)
      value >>>= 7
    }
    this.byte(value)
  }

  /** Signed LEB128 of an int32. */
  signed(value: number): void {
    value |= 0
    while (value < -64 || value > 63) {
      this.byte((value & 0x7f) | 0x80)
      value >>= 7
    }
    this.byte(value & 0x7f)
  }

  /** Signed LEB128 of a 64-bit value. */
  signed64(value: bigint): void {
    value = BigInt.asIntN(64, value)
    while (value < -64n || value > 63n) {
      this.byte(Number(value & 0x7fn) | 0x80)
      value >>= 7n
    }
    this.byte(Number(value & 0x7fn))
  }

  append(bytes: ArrayLike<number>): void {
    if (this.length + bytes.length > this.data.length) this.reserve(bytes.length)
    this.data.set(bytes, this.length)
    this.length += bytes.length
  }

  name(text: string): void {
    this.unsigned(text.length)
    for (let i = 0; i < text.length; i++) this.byte(text.charCodeAt(i))
  }

  /** The bytes written so far: a view, valid until the next write. */
  view(): Uint8Array {
    return this.data.subarray(0, this.length)
  }

  private reserve(more: number): void {
    const grown = new Uint8Array(Math.max(this.data.length * 2, this.length + more))
    grown.set(this.view())
    this.data = grown
  }
}
