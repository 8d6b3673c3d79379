/**
 * Intel 8259A programmable interrupt controller, as two of them sit in a PC with the edge/level register of the PIIX.
 *
 * Emulated: ICW1-ICW4, OCW1-OCW3, fixed and rotating priority, specific and non-specific EOI, automatic EOI with rotation,
 * special mask, special fully nested mode, poll, ELCR, spurious IR7 of either chip.
 * Not emulated: MCS-80/85 mode, buffered mode, LTIM (a PIIX ignores it in favour of ELCR).
 * A request on an edge-triggered input stays latched when the input falls before the acknowledge, where the datasheet would make
 * it a spurious IR7: callers that pulse a line (KVM_IRQ_LINE 1, 0) depend on it.
 *
 * [Intel 8259A datasheet 231468] [82371AB (PIIX4) 290562, "ELCR1, ELCR2"]
 */
import { unconnected, type OutputLine } from './pins.ts'

/** Field for field Linux's `struct kvm_pic_state`, and `single` (ICW1 SNGL), which that lacks. */
export interface I8259State {
  version: 1
  lastIrr: number
  irr: number
  imr: number
  isr: number
  priorityAdd: number
  irqBase: number
  readRegSelect: number
  poll: number
  specialMask: number
  initState: number
  autoEoi: number
  rotateOnAutoEoi: number
  specialFullyNestedMode: number
  init4: number
  elcr: number
  elcrMask: number
  single: number
}

/** Inputs that ELCR can make level-triggered: not the timer, the keyboard, the cascade, the RTC and the coprocessor. */
const ELCR_MASK = { master: 0xf8, slave: 0xde } as const

export class I8259 {
  #s: I8259State
  #int = false
  readonly #isMaster: boolean
  readonly #output: OutputLine

  constructor(options: { position: 'master' | 'slave'; int?: OutputLine }) {
    this.#isMaster = options.position === 'master'
    this.#output = options.int ?? unconnected
    this.#s = { ...powerOn(ELCR_MASK[options.position]) }
  }

  /** The INT pin. */
  get int(): boolean {
    return this.#int
  }

  get elcr(): number {
    return this.#s.elcr
  }

  set elcr(value: number) {
    this.#s.elcr = value & this.#s.elcrMask
    this.#s.irr = (this.#s.irr & ~this.#s.elcr) | (this.#s.lastIrr & this.#s.elcr)
    this.#update()
  }

  reset(): void {
    this.#s = powerOn(this.#s.elcrMask)
    this.#update()
  }

  setIrq(input: number, level: boolean): void {
    const s = this.#s
    const bit = 1 << input
    if (level) {
      if (s.elcr & bit || !(s.lastIrr & bit)) s.irr |= bit
      s.lastIrr |= bit
    } else {
      // The cascade input follows the slave: a request that the slave withdrew shall not surface as a spurious IRQ 15.
      if (s.elcr & bit || (this.#isMaster && input === 2)) s.irr &= ~bit
      s.lastIrr &= ~bit
    }
    this.#update()
  }

  /** The input that an INTA cycle would serve now, or -1. */
  pendingInput(): number {
    const s = this.#s
    const requested = this.#rank(s.irr & ~s.imr)
    let inService = s.isr
    if (s.specialMask) inService &= ~s.imr
    if (s.specialFullyNestedMode && this.#isMaster) inService &= ~(1 << 2)
    return requested < this.#rank(inService) ? (requested + s.priorityAdd) & 7 : -1
  }

  /** INTA: moves the pending request into service and returns its input; 7 with nothing pending (spurious). */
  acknowledge(): number {
    const input = this.pendingInput()
    if (input < 0) return 7
    const s = this.#s
    const bit = 1 << input
    if (!s.autoEoi) s.isr |= bit
    else if (s.rotateOnAutoEoi) s.priorityAdd = (input + 1) & 7
    if (!(s.elcr & bit)) s.irr &= ~bit
    this.#drive(false)
    this.#update()
    return input
  }

  /** The vector for an input, from ICW2. */
  vector(input: number): number {
    return this.#s.irqBase + input
  }

  read(a0: number): number {
    const s = this.#s
    if (s.poll) {
      s.poll = 0
      return this.pendingInput() < 0 ? 0 : 0x80 | this.acknowledge()
    }
    if (a0) return s.imr
    return s.readRegSelect ? s.isr : s.irr
  }

  write(a0: number, value: number): void {
    if (a0) this.#writeData(value)
    else if (value & 0x10) this.#icw1(value)
    else if (value & 0x08) this.#ocw3(value)
    else this.#ocw2(value)
    this.#update()
  }

  save(): I8259State {
    return { ...this.#s }
  }

  load(state: I8259State): void {
    this.#s = { ...state }
    this.#update()
  }

  #icw1(value: number): void {
    const s = this.#s
    s.irr &= s.elcr
    s.imr = s.isr = 0
    s.priorityAdd = s.specialMask = s.readRegSelect = s.poll = 0
    s.autoEoi = s.rotateOnAutoEoi = s.specialFullyNestedMode = 0
    s.init4 = value & 1
    s.single = (value >> 1) & 1
    s.initState = 1
  }

  #writeData(value: number): void {
    const s = this.#s
    switch (s.initState) {
      case 1:
        s.irqBase = value & 0xf8
        s.initState = s.single ? (s.init4 ? 3 : 0) : 2
        break
      case 2:
        s.initState = s.init4 ? 3 : 0
        break
      case 3:
        s.specialFullyNestedMode = (value >> 4) & 1
        s.autoEoi = (value >> 1) & 1
        s.initState = 0
        break
      default:
        s.imr = value
    }
  }

  #ocw2(value: number): void {
    const s = this.#s
    const [rotate, specific, eoi] = [value & 0x80, value & 0x40, value & 0x20]
    if (!eoi && !specific) {
      s.rotateOnAutoEoi = rotate ? 1 : 0
      return
    }
    if (!eoi) {
      if (rotate) s.priorityAdd = (value + 1) & 7
      return
    }
    let input = value & 7
    if (!specific) {
      const rank = this.#rank(s.specialMask ? s.isr & ~s.imr : s.isr)
      if (rank === 8) return
      input = (rank + s.priorityAdd) & 7
    }
    s.isr &= ~(1 << input)
    if (rotate) s.priorityAdd = (input + 1) & 7
  }

  #ocw3(value: number): void {
    const s = this.#s
    s.poll = (value >> 2) & 1
    if (value & 2) s.readRegSelect = value & 1
    if (value & 0x40) s.specialMask = (value >> 5) & 1
  }

  /** Position of the highest-priority bit, 0 first; 8 with none. */
  #rank(mask: number): number {
    let rank = 0
    while (rank < 8 && !(mask & (1 << ((rank + this.#s.priorityAdd) & 7)))) rank++
    return rank
  }

  #update(): void {
    this.#drive(this.#s.initState === 0 && this.pendingInput() >= 0)
  }

  #drive(level: boolean): void {
    if (level === this.#int) return
    this.#int = level
    this.#output(level)
  }
}

function powerOn(elcrMask: number): I8259State {
  return {
    version: 1,
    lastIrr: 0,
    irr: 0,
    imr: 0,
    isr: 0,
    priorityAdd: 0,
    irqBase: 0,
    readRegSelect: 0,
    poll: 0,
    specialMask: 0,
    initState: 0,
    autoEoi: 0,
    rotateOnAutoEoi: 0,
    specialFullyNestedMode: 0,
    init4: 0,
    elcr: 0,
    elcrMask,
    single: 0,
  }
}

export interface I8259PairState {
  version: 1
  master: I8259State
  slave: I8259State
}

/** The PC's pair: the slave's INT drives the master's IR2. */
export class I8259Pair {
  readonly master: I8259
  readonly slave: I8259

  constructor(options: { int?: OutputLine } = {}) {
    this.master = new I8259(options.int ? { position: 'master', int: options.int } : { position: 'master' })
    this.slave = new I8259({ position: 'slave', int: (level) => this.master.setIrq(2, level) })
  }

  get int(): boolean {
    return this.master.int
  }

  reset(): void {
    this.slave.reset()
    this.master.reset()
  }

  /** IRQ 0..15; IRQ 2 is the cascade and has no pin. */
  setIrq(irq: number, level: boolean): void {
    if (irq >= 8) this.slave.setIrq(irq - 8, level)
    else if (irq !== 2) this.master.setIrq(irq, level)
  }

  /** The two INTA cycles of the processor; returns the vector on the bus. */
  acknowledge(): number {
    const input = this.master.acknowledge()
    return input === 2 ? this.slave.vector(this.slave.acknowledge()) : this.master.vector(input)
  }

  save(): I8259PairState {
    return { version: 1, master: this.master.save(), slave: this.slave.save() }
  }

  load(state: I8259PairState): void {
    this.slave.load(state.slave)
    this.master.load(state.master)
  }
}
