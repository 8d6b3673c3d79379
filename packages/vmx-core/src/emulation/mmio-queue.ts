/** Part of a guest access to a device of the VMM's: at most eight bytes, within a page. */
export interface MmioPart {
  readonly gpa: number
  readonly size: number
  value: bigint
}

/** What an emulated instruction exchanges with the VMM, over several KVM_RUNs. */
export class MmioQueue {
  /** The read that the VMM was asked for. */
  wanted: MmioPart | undefined
  /** Reads that the VMM has answered, for the instruction that is evaluated again. */
  readonly answers: MmioPart[] = []
  /** Writes of an instruction that is done. */
  readonly writes: MmioPart[] = []

  answer(gpa: number, size: number): bigint | undefined {
    return this.answers.find((part) => part.gpa === gpa && part.size === size)?.value
  }

  clear(): void {
    this.wanted = undefined
    this.answers.length = 0
    this.writes.length = 0
  }
}
