import { CR0_PE, DR7_GD, EFLAGS_RF, Exception } from '@guestmode/x86'
import type { Cpu } from '../cpu/cpu.ts'
import { EventKind, GuestFault, type CpuEvent } from '../cpu/events.ts'
import { deliverLong } from './deliver-long.ts'
import { deliverProtected } from './deliver-protected.ts'
import { deliverReal } from './deliver-real.ts'
import { readFlags } from './flags.ts'
import { isLong } from './mode.ts'
import { cr0Of } from './words.ts'

const BLOCKING_BY_STI_AND_MOV_SS = 3
const BLOCKING_BY_NMI = 8
const ACTIVE = 0
const SHUTDOWN = 2

/** #DB, NMI, #BP, #OF, #DF, #MC: not fault-class. [SDM3 18.3.1.1 "Instruction-Breakpoint Exception Condition": which images have RF set] */
const NO_RF =
  (1 << Exception.DB) |
  (1 << Exception.NMI) |
  (1 << Exception.BP) |
  (1 << Exception.OF) |
  (1 << Exception.DF) |
  (1 << Exception.MC)

/** One attempt, which may fault. */
function transfer(cpu: Cpu, event: CpuEvent): void {
  const { state } = cpu
  const { kind, vector } = event
  const isSoftware = kind === EventKind.softwareInterrupt || kind === EventKind.softwareException
  const ext = isSoftware ? 0 : 1
  const returnIp =
    state.rip + BigInt(isSoftware || kind === EventKind.privilegedSoftwareException ? (event.instructionLength ?? 0) : 0)
  const flags = readFlags(cpu)
  const image = kind === EventKind.hardwareException && ((NO_RF >>> vector) & 1) === 0 ? flags | EFLAGS_RF : flags
  const { errorCode } = event
  let target: bigint
  if ((cr0Of(cpu) & CR0_PE) === 0) target = deliverReal(cpu, vector, Number(BigInt.asUintN(32, returnIp)), ext)
  else if (isLong(cpu))
    target = deliverLong(
      cpu,
      vector,
      isSoftware,
      BigInt.asUintN(state.codeWidth === 64 ? 64 : 32, returnIp),
      image,
      errorCode,
      ext,
    )
  else target = deliverProtected(cpu, vector, isSoftware, Number(BigInt.asUintN(32, returnIp)), image, errorCode, ext)
  state.rip = target
  cpu.nextRip = target
  // [SDM3 18.2.4 "Debug Control Register (DR7)": the handler may access the debug registers]
  if (vector === Exception.DB) state.dr.set(7, state.dr.get(7) & ~BigInt(DR7_GD))
  const blocking = state.interruptibility & ~BLOCKING_BY_STI_AND_MOV_SS
  state.interruptibility = kind === EventKind.nmi ? blocking | BLOCKING_BY_NMI : blocking
  state.activity = ACTIVE
  cpu.modeChanged()
}

/** [SDM3 Table 6-4 "Interrupt and Exception Classes"] */
type Class = 'benign' | 'contributory' | 'page fault' | 'double fault'

function classOf(event: CpuEvent): Class {
  if (event.kind !== EventKind.hardwareException) return 'benign'
  switch (event.vector) {
    case Exception.DE:
    case Exception.TS:
    case Exception.NP:
    case Exception.SS:
    case Exception.GP:
    case Exception.CP:
      return 'contributory'
    case Exception.PF:
    case Exception.VE:
      return 'page fault'
    case Exception.DF:
      return 'double fault'
    default:
      return 'benign'
  }
}

/** [SDM3 Table 6-5 "Conditions for Generating a Double Fault"] Undefined: shutdown. */
function combine(first: CpuEvent, second: CpuEvent): CpuEvent | undefined {
  const before = classOf(first)
  const now = classOf(second)
  if (now !== 'contributory' && now !== 'page fault') return second
  if (before === 'double fault') return undefined
  if (before === 'benign' || (before === 'contributory' && now === 'page fault')) return second
  return { kind: EventKind.hardwareException, vector: Exception.DF, errorCode: 0 }
}

function exceptionOf(cpu: Cpu, fault: GuestFault): CpuEvent {
  const errorCode = (cr0Of(cpu) & CR0_PE) === 0 ? undefined : fault.errorCode
  return { kind: EventKind.hardwareException, vector: fault.vector, errorCode }
}

/** `linear`: of a page fault. CR2 changes only when the fault is not intercepted. */
function intercept(cpu: Cpu, event: CpuEvent, linear: bigint | undefined): void {
  const { nonRoot } = cpu
  if (nonRoot !== undefined) nonRoot.exception(new GuestFault(event.vector, event.errorCode), linear)
  if (linear !== undefined && event.vector === Exception.PF) cpu.state.cr2 = linear
}

/**
 * Delivers an event through the IDT, and whatever exceptions that meets on its way. Never throws a GuestFault; a VmExit leaves
 * `nonRoot.delivering` set. Afterwards `state.rip` and `nextRip` are the handler's.
 */
export function deliverEvent(cpu: Cpu, event: CpuEvent): void {
  const { nonRoot } = cpu
  for (;;) {
    if (nonRoot !== undefined) nonRoot.delivering = event
    try {
      transfer(cpu, event)
      if (nonRoot !== undefined) nonRoot.delivering = undefined
      return
    } catch (error) {
      if (!(error instanceof GuestFault)) throw error
      // The second exception is intercepted as itself, before it may become a double fault [SDM3 26.2 "Other Causes of VM Exits"].
      const second = exceptionOf(cpu, error)
      intercept(cpu, second, error.linear)
      const next = combine(event, second)
      if (next === undefined) {
        nonRoot?.tripleFault()
        cpu.state.activity = SHUTDOWN
        return
      }
      if (next !== second) intercept(cpu, next, undefined)
      event = next
    }
  }
}

/** #BP and #OF come of INT3 and INTO alone: RIP is pushed as behind them, and the gate's DPL is checked. */
function softwareExceptionOf(cpu: Cpu, vector: number): CpuEvent {
  const instructionLength = Number(BigInt.asUintN(8, cpu.nextRip - cpu.state.rip))
  return { kind: EventKind.softwareException, vector, instructionLength }
}

/** An exception raised by an instruction (`state.rip` at it, `nextRip` behind it) or by the fetch of one. */
export function raise(cpu: Cpu, fault: GuestFault): void {
  const { vector } = fault
  const event = vector === Exception.BP || vector === Exception.OF ? softwareExceptionOf(cpu, vector) : exceptionOf(cpu, fault)
  intercept(cpu, event, fault.linear)
  deliverEvent(cpu, event)
}
