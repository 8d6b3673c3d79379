import { DR6_BS, DR6_FIXED, Exception } from '@guestmode/x86'
import type { Vcpu } from '../vcpu.ts'

/** An exception on its way into the guest. */
export interface QueuedException {
  /** Not yet written to the VMCS. */
  pending: boolean
  /** Given to the processor at the last entry; it may come back as not delivered. */
  injected: boolean
  vector: number
  hasErrorCode: boolean
  errorCode: number
  /** What delivery writes: CR2 for #PF, DR6 bits for #DB. */
  payload: bigint | undefined
}

export function noException(): QueuedException {
  return { pending: false, injected: false, vector: 0, hasErrorCode: false, errorCode: 0, payload: undefined }
}

type Kind = 'benign' | 'contributory' | 'page-fault'

/** [SDM3 Table 6-4 "Interrupt and Exception Classes"] */
function kindOf(vector: number): Kind {
  if (vector === Exception.PF) return 'page-fault'
  const contributory = [Exception.DE, Exception.TS, Exception.NP, Exception.SS, Exception.GP]
  return (contributory as readonly number[]).includes(vector) ? 'contributory' : 'benign'
}

/** Queues an exception for the guest; a second one beside a first makes a double fault. [SDM3 Table 6-5 "Conditions for Generating a Double Fault"] */
export function queueException(vcpu: Vcpu, vector: number, errorCode = 0, payload?: bigint): void {
  const first = vcpu.exception
  vcpu.eventRequested = true
  if (first.pending || first.injected) {
    if (first.vector === Exception.DF) {
      vcpu.tripleFault = true
      return
    }
    const [one, two] = [kindOf(first.vector), kindOf(vector)]
    if ((one === 'contributory' && two === 'contributory') || (one === 'page-fault' && two !== 'benign')) {
      vcpu.exception = { ...noException(), pending: true, vector: Exception.DF, hasErrorCode: true }
      return
    }
  }
  vcpu.exception = { pending: true, injected: false, vector, hasErrorCode: Exception.hasErrorCode(vector), errorCode, payload }
}

export const queueGp = (vcpu: Vcpu, errorCode = 0): void => queueException(vcpu, Exception.GP, errorCode)
export const queueUd = (vcpu: Vcpu): void => queueException(vcpu, Exception.UD)

export function queuePageFault(vcpu: Vcpu, linear: bigint, errorCode: number): void {
  queueException(vcpu, Exception.PF, errorCode, linear)
}

/** #DB with bits of DR6, as delivery will leave them. */
export function queueDebug(vcpu: Vcpu, bits: number): void {
  queueException(vcpu, Exception.DB, 0, BigInt(bits))
}

/** What delivery of the exception writes beside the stack. */
export function deliverPayload(vcpu: Vcpu): void {
  const { exception } = vcpu
  const { registers } = vcpu.processor
  const { payload } = exception
  if (payload === undefined) return
  exception.payload = undefined
  if (exception.vector === Exception.PF) registers.cr2 = payload
  // [SDM3 18.2.3 "Debug Status Register (DR6)"]: B0-B3 are those of this exception, BS and the others stay until software clears them.
  if (exception.vector === Exception.DB) registers.setDr(6, (registers.dr(6) & ~0xfn) | BigInt(DR6_FIXED) | payload)
}

export const SINGLE_STEP = DR6_BS
