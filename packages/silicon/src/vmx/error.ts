/** Host software used a VMX instruction in a way that it must not: a VMfail of VMREAD or VMWRITE, or an instruction outside VMX operation (#UD). */
export class VmxInstructionError extends Error {
  /** VM-instruction error number; 0 is VMfailInvalid; undefined is #UD. */
  readonly number: number | undefined
  constructor(message: string, number: number | undefined) {
    super(message)
    this.name = 'VmxInstructionError'
    this.number = number
  }
}

/** [SDM3 28.7 "VMX Aborts"] */
export class VmxAbort extends Error {
  readonly indicator: number
  constructor(message: string, indicator: number) {
    super(message)
    this.name = 'VmxAbort'
    this.indicator = indicator
  }
}
