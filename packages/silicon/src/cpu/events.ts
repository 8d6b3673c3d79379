/**
 * An exception of the guest. What microcode throws is caught where the engine calls it, in `Engine.microcode` and `Engine.named`, and
 * becomes a value (`setTrap`). Not an `Error`: no stack is captured.
 */
export class GuestFault {
  readonly vector: number
  readonly errorCode: number | undefined
  /** Of a page fault: the linear address, which becomes CR2 unless the fault is intercepted. */
  readonly linear: bigint | undefined
  constructor(vector: number, errorCode?: number, linear?: bigint) {
    this.vector = vector
    this.errorCode = errorCode
    this.linear = linear
  }
}

/**
 * A VM exit [SDM3 28 "VM Exits"]. Microcode throws or returns it, and the engine makes it a value as it does with `GuestFault`; one
 * thrown at a boundary or in a delivery goes on to `Vmx.runGuest`, where all of them end.
 */
export class VmExit {
  /** Basic exit reason [SDM3 Appendix C "VMX Basic Exit Reasons"]. */
  readonly reason: number
  readonly qualification: bigint
  /** Exit-specific information, by VMCS field encoding. */
  readonly details: Readonly<Record<number, bigint>>
  constructor(reason: number, qualification = 0n, details: Readonly<Record<number, bigint>> = {}) {
    this.reason = reason
    this.qualification = qualification
    this.details = details
  }
}

/** What is delivered through the IDT. The kinds are the interruption types of the VMCS [SDM3 25.8.3 "VM-Entry Controls for Event Injection"]. */
export const EventKind = {
  externalInterrupt: 0,
  nmi: 2,
  hardwareException: 3,
  softwareInterrupt: 4,
  privilegedSoftwareException: 5,
  softwareException: 6,
} as const
export type EventKind = (typeof EventKind)[keyof typeof EventKind]

export interface CpuEvent {
  readonly kind: EventKind
  readonly vector: number
  readonly errorCode?: number | undefined
  /** Software interrupts and exceptions: the length of the instruction, so that the pushed RIP is behind it. */
  readonly instructionLength?: number
}
