/**
 * Local APIC of a Pentium 4 and later.
 *
 * Emulated: the register page, xAPIC and x2APIC access, software and hardware disabling, priorities, EOI broadcast, LVT with
 * LINT0/1 pins, timer in all three modes, IPIs incl. self-IPI, logical destinations (flat, cluster, x2APIC), error register.
 * Not emulated: arbitration priorities (APR reads as zero), focus processor, CMCI, extended APIC space of AMD.
 * Messages leave through `sendIpi` and enter through `accept`; who gets them is decided by `destinations` of apic-message.ts.
 *
 * [SDM3 chapter 11 "Advanced Programmable Interrupt Controller (APIC)"]
 */
import {
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_INIT,
  DELIVERY_LOWEST_PRIORITY,
  DELIVERY_NMI,
  DELIVERY_SMI,
  DELIVERY_STARTUP,
  type ApicMessage,
  type DeliveryMode,
  type Ipi,
} from './apic-message.ts'
import * as R from './lapic-registers.ts'
import { LapicTimer, type TscConverter } from './lapic-timer.ts'
import type { Clock, TimedChip } from './pins.ts'
import { VectorSet } from './vector-set.ts'

export interface LapicOptions {
  id: number
  bsp: boolean
  clock: Clock
  tsc?: TscConverter
  /** Period of the timer's input clock; 1 ns unless told (as KVM's). */
  busPeriodNs?: bigint
  sendIpi: (ipi: Ipi) => void
  /** EOI of a level-triggered vector, for the I/O APICs. */
  eoi?: (vector: number) => void
  /** Something may have become deliverable: `highestPending` has to be looked at. */
  request?: () => void
  nmi?: () => void
  smi?: () => void
  init?: () => void
  startup?: (vector: number) => void
}

export interface LapicState {
  version: 1
  /** Linux's `struct kvm_lapic_state`: the register page's first KiB, the ID in its xAPIC place. */
  regs: Uint8Array
  apicBase: bigint
  tscDeadline: bigint
  pendingErrors: number
}

const SHORTHANDS = ['none', 'self', 'all', 'others'] as const

export class Lapic implements TimedChip {
  readonly #o: LapicOptions
  readonly #timer: LapicTimer
  readonly #isr = new VectorSet()
  readonly #tmr = new VectorSet()
  readonly #irr = new VectorSet()
  readonly #lvt = new Map<number, number>()
  #apicBase = 0n
  #id = 0
  #tpr = 0
  #ldr = 0
  #dfr = 0
  #svr = 0
  #esr = 0
  #pendingErrors = 0
  #icr = 0
  #icrHigh = 0
  #dcr = 0

  constructor(options: LapicOptions) {
    this.#o = options
    const { clock, tsc } = options
    this.#timer = new LapicTimer({ clock, busPeriodNs: options.busPeriodNs ?? 1n, ...(tsc ? { tsc } : {}) })
    this.reset()
  }

  get id(): number {
    return this.#id
  }

  get apicBase(): bigint {
    return this.#apicBase
  }

  get x2apic(): boolean {
    return (this.#apicBase & R.APIC_BASE_X2APIC) !== 0n
  }

  get hardwareEnabled(): boolean {
    return (this.#apicBase & R.APIC_BASE_ENABLE) !== 0n
  }

  get softwareEnabled(): boolean {
    return this.hardwareEnabled && (this.#svr & R.SVR_ENABLE) !== 0
  }

  /** CR8 is the task priority class. [SDM3 11.8.6 "Task Priority in IA-32e Mode"] */
  get cr8(): number {
    return this.#tpr >> 4
  }

  set cr8(value: number) {
    this.#tpr = (value & 15) << 4
    this.#o.request?.()
  }

  get tpr(): number {
    return this.#tpr
  }

  /** [SDM3 11.8.3.1 "Task and Processor Priorities"] */
  get processorPriority(): number {
    const serviced = Math.max(this.#isr.highest(), 0) & 0xf0
    return (this.#tpr & 0xf0) >= serviced ? this.#tpr : serviced
  }

  /** True while the 8259A's INTR reaches the processor: the APIC is off, or LINT0 passes ExtINT. */
  get acceptsExtInt(): boolean {
    if (!this.hardwareEnabled) return true
    return (this.#lvtEntry(R.APIC_LVT_LINT0) & (R.LVT_MASKED | 0x700)) === DELIVERY_EXTINT << 8
  }

  get tscDeadline(): bigint {
    return this.#lvtTimerMode === R.TIMER_TSC_DEADLINE ? this.#timer.tscDeadline : 0n
  }

  set tscDeadline(tsc: bigint) {
    if (this.#lvtTimerMode === R.TIMER_TSC_DEADLINE && this.hardwareEnabled) this.#timer.armTsc(tsc)
  }

  /** Power-up and RESET#. */
  reset(): void {
    this.#apicBase = R.APIC_DEFAULT_BASE | R.APIC_BASE_ENABLE | (this.#o.bsp ? R.APIC_BASE_BSP : 0n)
    this.#id = this.#o.id
    this.initialize()
    // A BIOS leaves the bootstrap processor in virtual wire mode; KVM does it at reset, and guests without firmware rely on it.
    if (this.#o.bsp) this.#lvt.set(R.APIC_LVT_LINT0, DELIVERY_EXTINT << 8)
  }

  /** INIT: all but the ID and IA32_APIC_BASE. [SDM3 11.4.7.3 "Local APIC State After an INIT Reset"] */
  initialize(): void {
    this.#tpr = this.#esr = this.#pendingErrors = this.#icr = this.#icrHigh = this.#dcr = 0
    this.#dfr = 0xffff_ffff
    this.#ldr = this.x2apic ? x2apicLdr(this.#id) : 0
    this.#svr = 0xff
    for (const entry of R.LVT_REGISTERS) this.#lvt.set(entry, R.LVT_MASKED)
    for (const set of [this.#isr, this.#tmr, this.#irr]) set.clear()
    this.#timer.reset()
  }

  /** IA32_APIC_BASE; false for a transition that #GPs. [SDM3 11.12.5 "x2APIC State Transitions"] */
  writeApicBase(value: bigint): boolean {
    const enabled = (value & R.APIC_BASE_ENABLE) !== 0n
    const x2apic = (value & R.APIC_BASE_X2APIC) !== 0n
    if (x2apic && !enabled) return false
    if (this.x2apic && enabled && !x2apic) return false
    if (!this.hardwareEnabled && x2apic) return false
    const wasEnabled = this.hardwareEnabled
    const wasX2apic = this.x2apic
    this.#apicBase = value
    if (wasEnabled && !enabled) this.initialize()
    if (x2apic && !wasX2apic) this.#ldr = x2apicLdr(this.#id)
    this.#o.request?.()
    return true
  }

  /** The vector to deliver next, or -1. */
  highestPending(): number {
    if (!this.hardwareEnabled) return -1
    const vector = this.#irr.highest()
    return vector >> 4 > this.processorPriority >> 4 ? vector : -1
  }

  /** INTA: moves the pending vector into service; the spurious vector with none pending. */
  acknowledge(): number {
    const vector = this.highestPending()
    if (vector < 0) return this.#svr & 0xff
    this.#irr.delete(vector)
    this.#isr.add(vector)
    return vector
  }

  /** True when a message to `dest` is for this APIC. [SDM3 11.6.2 "Determining IPI Destination"] */
  matches(dest: number, mode: 'physical' | 'logical', fromX2apic = false): boolean {
    if (!this.hardwareEnabled) return false
    if (dest === 0xffff_ffff || (dest === 0xff && !fromX2apic)) return true
    if (mode === 'physical') return dest === this.#id
    if (this.x2apic) return this.#ldr >>> 16 === dest >>> 16 && (this.#ldr & dest & 0xffff) !== 0
    const ldr = this.#ldr >>> 24
    if (this.#dfr >>> 28 === 15) return (ldr & dest & 0xff) !== 0
    return ldr >> 4 === (dest >> 4) % 16 && (ldr & dest & 15) !== 0
  }

  /** A message from the bus that `matches` this APIC. True when it was taken. */
  accept(message: Pick<ApicMessage, 'vector' | 'deliveryMode' | 'trigger'>): boolean {
    const { vector, deliveryMode } = message
    switch (deliveryMode) {
      case DELIVERY_FIXED:
      case DELIVERY_LOWEST_PRIORITY:
        return this.#acceptVector(vector, message.trigger === 'level')
      case DELIVERY_SMI:
        this.#o.smi?.()
        return true
      case DELIVERY_NMI:
        this.#o.nmi?.()
        return true
      case DELIVERY_INIT:
        this.#o.init?.()
        return true
      case DELIVERY_STARTUP:
        this.#o.startup?.(vector)
        return true
      default:
        // ExtINT: the vector comes from the 8259A; the owner looks at its INT pin.
        this.#o.request?.()
        return true
    }
  }

  /** Raises a local source: a LINT pin, performance counter overflow, thermal event. Fixed mode uses edge semantics. */
  raiseLocal(lvtRegister: number): void {
    const entry = this.#lvtEntry(lvtRegister)
    if (entry & R.LVT_MASKED) return
    this.accept({ vector: entry & 0xff, deliveryMode: ((entry >> 8) & 7) as DeliveryMode, trigger: 'edge' })
  }

  /** Register of the page at a 16-byte boundary; its upper twelve bytes read as zero. */
  read(offset: number): number {
    const register = offset & 0xff0
    if (offset & 0xc || !R.READABLE.has(register)) {
      this.#error(R.ESR_ILLEGAL_REGISTER)
      return 0
    }
    return (this.#get(register) >>> (8 * (offset & 3))) >>> 0
  }

  write(offset: number, value: number): void {
    if (offset & 0xf || !this.#put(offset, value >>> 0)) this.#error(R.ESR_ILLEGAL_REGISTER)
  }

  /** RDMSR of 800h..83Fh; undefined for #GP. [SDM3 Table 11-6 "Local APIC Register Address Map Supported by x2APIC"] */
  readMsr(index: number): bigint | undefined {
    const offset = (index - 0x800) * 16
    if (!this.x2apic || offset === R.APIC_DFR || offset === R.APIC_ICR_HIGH || !R.READABLE.has(offset)) return undefined
    if (offset === R.APIC_ICR) return (BigInt(this.#icrHigh) << 32n) | BigInt(this.#icr)
    return BigInt(this.#get(offset))
  }

  /** WRMSR of 800h..83Fh; false for #GP. */
  writeMsr(index: number, value: bigint): boolean {
    const offset = (index - 0x800) * 16
    const low = Number(value & 0xffff_ffffn)
    if (!this.x2apic) return false
    if (offset === R.APIC_ICR) {
      this.#icrHigh = Number(value >> 32n)
      this.#put(R.APIC_ICR, low)
      return true
    }
    if (value >> 32n || [R.APIC_ID, R.APIC_LDR, R.APIC_DFR, R.APIC_ICR_HIGH].includes(offset)) return false
    if ((offset === R.APIC_EOI || offset === R.APIC_ESR) && low) return false
    if (offset === R.APIC_SELF_IPI) {
      if (low > 0xff) return false
      this.#send({
        vector: low,
        deliveryMode: 0,
        destMode: 'physical',
        dest: 0,
        trigger: 'edge',
        shorthand: 'self',
        assert: true,
        x2apic: true,
      })
      return true
    }
    return this.#put(offset, low)
  }

  nextEvent(): bigint | undefined {
    return this.#timer.deadline
  }

  advance(now: bigint): void {
    if (this.#timer.expire(now, this.#lvtTimerMode)) this.raiseLocal(R.APIC_LVT_TIMER)
  }

  save(): LapicState {
    const regs = new Uint8Array(0x400)
    const view = new DataView(regs.buffer)
    for (const register of R.READABLE) view.setUint32(register, this.#get(register), true)
    view.setUint32(R.APIC_ID, (this.#id << 24) >>> 0, true)
    return {
      version: 1,
      regs,
      apicBase: this.#apicBase,
      tscDeadline: this.#timer.tscDeadline,
      pendingErrors: this.#pendingErrors,
    }
  }

  load(state: LapicState): void {
    const view = new DataView(state.regs.buffer, state.regs.byteOffset, state.regs.byteLength)
    const get = (register: number): number => view.getUint32(register, true)
    this.#apicBase = state.apicBase
    this.#pendingErrors = state.pendingErrors
    this.#id = get(R.APIC_ID) >>> 24
    this.#tpr = get(R.APIC_TPR) & 0xff
    this.#ldr = this.x2apic ? x2apicLdr(this.#id) : get(R.APIC_LDR)
    this.#dfr = get(R.APIC_DFR)
    this.#svr = get(R.APIC_SVR)
    this.#esr = get(R.APIC_ESR)
    this.#icr = get(R.APIC_ICR)
    this.#icrHigh = get(R.APIC_ICR_HIGH)
    for (const register of R.LVT_REGISTERS) this.#lvt.set(register, get(register))
    for (const [base, set] of this.#vectorSets()) for (let i = 0; i < 8; i++) set.words[i] = get(base + 16 * i)
    this.#dcr = get(R.APIC_DIVIDE)
    this.#timer.reset()
    this.#timer.setDivide(this.#dcr)
    if (this.#lvtTimerMode === R.TIMER_TSC_DEADLINE) this.#timer.armTsc(state.tscDeadline)
    else {
      const [initial, current] = [get(R.APIC_INITIAL_COUNT), get(R.APIC_CURRENT_COUNT)]
      if (current || this.#lvtTimerMode === R.TIMER_PERIODIC) this.#timer.start(initial, current || initial)
      else this.#timer.initialCount = initial
    }
    this.#o.request?.()
  }

  get #lvtTimerMode(): number {
    return (this.#lvtEntry(R.APIC_LVT_TIMER) >> 17) & 3
  }

  #lvtEntry(register: number): number {
    return this.#lvt.get(register) ?? R.LVT_MASKED
  }

  #vectorSets(): [number, VectorSet][] {
    return [
      [R.APIC_ISR, this.#isr],
      [R.APIC_TMR, this.#tmr],
      [R.APIC_IRR, this.#irr],
    ]
  }

  #get(register: number): number {
    if (register >= R.APIC_ISR && register < R.APIC_IRR + 0x80) {
      const set = register < R.APIC_TMR ? this.#isr : register < R.APIC_IRR ? this.#tmr : this.#irr
      return set.words[(register >> 4) & 7] ?? 0
    }
    switch (register) {
      case R.APIC_ID:
        return this.x2apic ? this.#id : (this.#id << 24) >>> 0
      case R.APIC_VERSION:
        return R.VERSION_VALUE
      case R.APIC_TPR:
        return this.#tpr
      case R.APIC_PPR:
        return this.processorPriority
      case R.APIC_LDR:
        return this.#ldr
      case R.APIC_DFR:
        return this.#dfr
      case R.APIC_SVR:
        return this.#svr
      case R.APIC_ESR:
        return this.#esr
      case R.APIC_ICR:
        return this.#icr
      case R.APIC_ICR_HIGH:
        return this.#icrHigh
      case R.APIC_INITIAL_COUNT:
        return this.#timer.initialCount
      case R.APIC_CURRENT_COUNT:
        return this.#timer.currentCount()
      case R.APIC_DIVIDE:
        return this.#dcr
      default:
        return this.#lvt.get(register) ?? 0
    }
  }

  /** False for a register that does not exist or is read-only. */
  #put(register: number, value: number): boolean {
    switch (register) {
      case R.APIC_ID:
        this.#id = value >>> 24
        return true
      case R.APIC_TPR:
        this.#tpr = value & 0xff
        this.#o.request?.()
        return true
      case R.APIC_EOI:
        this.#endOfInterrupt()
        return true
      case R.APIC_LDR:
        this.#ldr = (value & 0xff00_0000) >>> 0
        return true
      case R.APIC_DFR:
        this.#dfr = (value | 0x0fff_ffff) >>> 0
        return true
      case R.APIC_SVR:
        this.#svr = value & 0x3ff
        // [SDM3 11.4.7.2 "Local APIC State After It Has Been Software Disabled"]
        if (!(value & R.SVR_ENABLE)) for (const [lvt, entry] of this.#lvt) this.#lvt.set(lvt, entry | R.LVT_MASKED)
        return true
      case R.APIC_ESR:
        this.#esr = this.#pendingErrors
        this.#pendingErrors = 0
        return true
      case R.APIC_ICR:
        this.#icr = value & 0xc_cfff
        this.#sendIcr()
        return true
      case R.APIC_ICR_HIGH:
        this.#icrHigh = (value & 0xff00_0000) >>> 0
        return true
      case R.APIC_INITIAL_COUNT:
        if (this.#lvtTimerMode !== R.TIMER_TSC_DEADLINE) this.#timer.start(value)
        return true
      case R.APIC_DIVIDE:
        this.#dcr = value & 0xb
        this.#timer.setDivide(this.#dcr)
        return true
    }
    const writable = R.LVT_WRITABLE.get(register)
    if (writable === undefined) return false
    this.#writeLvt(register, value & writable)
    return true
  }

  #writeLvt(register: number, value: number): void {
    const before = this.#lvtTimerMode
    this.#lvt.set(register, this.softwareEnabled ? value : value | R.LVT_MASKED)
    // Changing to or from TSC-deadline mode disarms the timer. [SDM3 11.5.4.1 "TSC-Deadline Mode"]
    const after = this.#lvtTimerMode
    if (before !== after && (before === R.TIMER_TSC_DEADLINE || after === R.TIMER_TSC_DEADLINE)) this.#timer.stop()
    if (register === R.APIC_LVT_LINT0) this.#o.request?.()
  }

  #endOfInterrupt(): void {
    const vector = this.#isr.highest()
    if (vector < 0) return
    this.#isr.delete(vector)
    if (this.#tmr.has(vector)) this.#o.eoi?.(vector)
    this.#o.request?.()
  }

  #sendIcr(): void {
    const icr = this.#icr
    this.#send({
      vector: icr & 0xff,
      deliveryMode: ((icr >> 8) & 7) as DeliveryMode,
      destMode: icr & 0x800 ? 'logical' : 'physical',
      dest: this.x2apic ? this.#icrHigh : this.#icrHigh >>> 24,
      trigger: icr & 0x8000 ? 'level' : 'edge',
      shorthand: SHORTHANDS[(icr >> 18) & 3] ?? 'none',
      assert: (icr & 0x4000) !== 0,
      x2apic: this.x2apic,
    })
  }

  #send(ipi: Ipi): void {
    if (ipi.deliveryMode <= DELIVERY_LOWEST_PRIORITY && ipi.vector < 16) this.#error(R.ESR_SEND_ILLEGAL_VECTOR)
    // INIT level de-assert does nothing on these processors. [SDM3 11.6.1 "Interrupt Command Register (ICR)"]
    else if (ipi.deliveryMode !== DELIVERY_INIT || ipi.trigger === 'edge' || ipi.assert) this.#o.sendIpi(ipi)
  }

  #acceptVector(vector: number, level: boolean): boolean {
    if (!this.softwareEnabled) return false
    if (vector < 16) {
      this.#error(R.ESR_RECEIVE_ILLEGAL_VECTOR)
      return false
    }
    this.#irr.add(vector)
    if (level) this.#tmr.add(vector)
    else this.#tmr.delete(vector)
    this.#o.request?.()
    return true
  }

  #error(bit: number): void {
    const isNew = !(this.#pendingErrors & bit)
    this.#pendingErrors |= bit
    const entry = this.#lvtEntry(R.APIC_LVT_ERROR)
    // The error's own vector being illegal must not report errors for ever.
    if (isNew && !(entry & R.LVT_MASKED) && (entry & 0xff) >= 16) this.#acceptVector(entry & 0xff, false)
  }
}

/** [SDM3 11.12.10.2 "Deriving Logical x2APIC ID from the Local x2APIC ID"] */
function x2apicLdr(id: number): number {
  return (((id >>> 4) << 16) | (1 << (id & 15))) >>> 0
}
