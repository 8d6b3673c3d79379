import type { Code } from '@guestmode/wasm-emit'
import { cpuState, type CpuField } from '@guestmode/x86'
import type { HandlerWriter, Next } from './loop.ts'
import { pageIndexBits, Record, tlbEntry, type Callees, type Shape } from './silicon.ts'

const RSP = 4
const carriesOfWord = 0xc000_0008 | 0

/** Handlers by hand, in whichever form. */
export const handWritten =
  (base: number, physBase: number): HandlerWriter =>
  (code, callees, shape, next) =>
    new HandlerByHand(code, callees, base, physBase, next).write(shape)

/**
 * One handler as a person writes it who knows that code is 32-bit and flat: the same records, the same state, the same flags, but
 * addresses in 32 bits, stores on the fast road without a look back, and transfers without a detour.
 */
class HandlerByHand {
  private readonly code: Code
  private readonly support: Callees
  private readonly base: number
  private readonly physBase: number
  private readonly goTo: Next

  constructor(code: Code, callees: Callees, base: number, physBase: number, goTo: Next) {
    this.code = code
    this.support = callees
    this.base = base
    this.physBase = physBase
    this.goTo = goTo
  }

  write(shape: Shape): void {
    const form = shape.operands.map((operand) => operand.kind[0]).join('')
    switch (shape.mnemonic) {
      case 'ADD':
      case 'SUB':
      case 'AND':
      case 'OR':
      case 'XOR':
        return this.binary(shape, form, true)
      case 'CMP':
        return this.binary({ ...shape, mnemonic: 'SUB' }, form, false)
      case 'TEST':
        return this.binary({ ...shape, mnemonic: 'AND' }, form, false)
      case 'INC':
      case 'DEC':
        return this.step(shape.mnemonic === 'INC' ? 'add' : 'sub')
      case 'SHL':
      case 'SHR':
        return this.shift(shape.mnemonic)
      case 'IMUL':
        return this.multiply(form)
      case 'MOV':
        return this.move(shape, form)
      case 'MOVZX':
        this.putRegisterAddress(0)
        this.putLoaded(shape, 1, 'i32.load8_u', 1)
        this.storeRegister()
        return this.next()
      case 'LEA':
        this.putRegisterAddress(0)
        this.putEffectiveAddress(shape, 1)
        this.storeRegister()
        return this.next()
      case 'PUSH':
        return this.push(
          () => this.putSource(shape, form, 0),
          () => this.next(),
        )
      case 'POP':
        return this.pop()
      case 'CALL':
        return this.push(
          () => {
            this.state('i32.load', 'ripBase').get(0).memory('i32.load16_u', Record.pageOffset).op('i32.add')
            this.code.get(0).memory('i32.load8_u', Record.length).op('i32.add')
          },
          () => this.jumpRelative(),
        )
      case 'RET':
        return this.ret()
      case 'JMP':
        return this.jumpRelative()
      case 'JCC':
        return this.branch(shape.cc)
      default:
        throw new Error(`${shape.mnemonic} was not written by hand`)
    }
  }

  private binary(shape: Shape, form: string, writes: boolean): void {
    const { code } = this
    const [a, b, r] = [code.local('i32'), code.local('i32'), code.local('i32')]
    const op = { ADD: 'add', SUB: 'sub', AND: 'and', OR: 'or', XOR: 'xor' }[shape.mnemonic]!
    const compute = (): void => {
      code.get(a).get(b).op(`i32.${op}`).set(r)
    }
    if (form[0] === 'r') {
      this.putRegister(0)
      code.set(a)
      this.putSource(shape, form, 1)
      code.set(b)
      compute()
      if (writes) {
        this.putRegisterAddress(0)
        code.get(r)
        this.storeRegister()
      }
    } else if (writes) {
      this.putSource(shape, form, 1)
      code.set(b)
      this.modify(shape, a, compute, r)
    } else {
      this.putLoaded(shape, 0, 'i32.load', 4)
      code.set(a)
      this.putSource(shape, form, 1)
      code.set(b)
      compute()
    }
    this.setResult(r)
    code.i32(0)
    if (op === 'add') this.putMajority(a, b, r)
    else if (op === 'sub') this.putMajority(b, r, a)
    else code.i32(0)
    this.setAux()
    this.next()
  }

  /** x and y, or one of them and not z: the carries, in their places. */
  private putMajority(x: number, y: number, z: number): void {
    const { code } = this
    code.get(x).get(y).op('i32.and')
    code.get(x).get(y).op('i32.or').get(z).i32(-1).op('i32.xor').op('i32.and')
    code.op('i32.or').i32(carriesOfWord).op('i32.and')
  }

  private step(op: 'add' | 'sub'): void {
    const { code } = this
    const [at, a, r, aux, change] = [
      code.local('i32'),
      code.local('i32'),
      code.local('i32'),
      code.local('i32'),
      code.local('i32'),
    ]
    this.putRegisterAddress(0)
    code.tee(at).memory('i32.load', this.base).tee(a).i32(1).op(`i32.${op}`).set(r)
    code.get(at).get(r)
    this.storeRegister()
    // CF is kept: the new vector with the old carry, and OF as their difference.
    if (op === 'add') code.get(a).get(r).i32(-1).op('i32.xor').op('i32.and')
    else code.get(r).get(a).i32(-1).op('i32.xor').op('i32.and')
    code.i32(carriesOfWord).op('i32.and').tee(aux)
    this.state('i32.load', 'flagAux').op('i32.xor').i32(-0x8000_0000).op('i32.and').set(change)
    code.i32(0).get(aux).get(change).get(change).i32(1).op('i32.shr_u').op('i32.or').op('i32.xor')
    this.setAux()
    this.setResult(r)
    this.next()
  }

  private shift(mnemonic: 'SHL' | 'SHR'): void {
    const { code } = this
    const [at, a, count, r, out] = [code.local('i32'), code.local('i32'), code.local('i32'), code.local('i32'), code.local('i32')]
    this.putRegisterAddress(0)
    code.tee(at).memory('i32.load', this.base).set(a)
    code.get(0).memory('i32.load', Record.immediate).i32(31).op('i32.and').set(count)
    code
      .get(a)
      .get(count)
      .op(mnemonic === 'SHL' ? 'i32.shl' : 'i32.shr_u')
      .set(r)
    code.get(at).get(r)
    this.storeRegister()
    code.get(count).if()
    this.setResult(r)
    if (mnemonic === 'SHL') {
      // Carry: the bit shifted out last, at 31; OF = bit 31 ^ bit 30 of the operand.
      code.get(a).get(count).i32(1).op('i32.sub').op('i32.shl').i32(-0x8000_0000).op('i32.and').set(out)
      code.i32(0).get(out).get(out).i32(1).op('i32.shr_u')
      code.get(a).get(a).i32(1).op('i32.shl').op('i32.xor').i32(1).op('i32.shr_u').i32(0x4000_0000).op('i32.and')
    } else {
      code.get(a).get(count).i32(1).op('i32.sub').op('i32.shr_u').i32(31).op('i32.shl').set(out)
      code.i32(0).get(out).get(out).i32(1).op('i32.shr_u')
      code.get(a).i32(1).op('i32.shr_u').i32(0x4000_0000).op('i32.and')
    }
    code.op('i32.xor').op('i32.or')
    this.setAux()
    code.end()
    this.next()
  }

  private multiply(form: string): void {
    const { code } = this
    const [wide, r] = [code.local('i64'), code.local('i32')]
    this.putRegister(form === 'rri' ? 1 : 0)
    code.op('i64.extend_i32_s')
    if (form === 'rri') code.get(0).memory('i64.load32_s', Record.immediate)
    else {
      this.putRegister(1)
      code.op('i64.extend_i32_s')
    }
    code.op('i64.mul').tee(wide).op('i32.wrap_i64').set(r)
    this.putRegisterAddress(0)
    code.get(r)
    this.storeRegister()
    // ZF is clear even for a product of zero; CF = OF = the product has more than 32 bits.
    code.i32(0).i64(0x100n).get(wide).op('i64.extend32_s').get(r).op('i32.eqz').select()
    code.memory('i64.store', this.field('flagResult'))
    code.i32(0).get(wide).get(wide).op('i64.extend32_s').op('i64.ne').i32(31).op('i32.shl')
    this.setAux()
    this.next()
  }

  private move(shape: Shape, form: string): void {
    if (form[0] === 'r') {
      this.putRegisterAddress(0)
      this.putSource(shape, form, 1)
      this.storeRegister()
    } else
      this.storeTo(
        () => this.putEffectiveAddress(shape, 0),
        () => this.putSource(shape, form, 1),
      )
    this.next()
  }

  private push(putValue: () => void, then: () => void): void {
    const { code } = this
    const pointer = code.local('i32')
    code.i32(0).memory('i32.load', this.gpr(RSP)).i32(4).op('i32.sub').set(pointer)
    this.storeTo(() => code.get(pointer), putValue)
    code.i32(0).get(pointer).op('i64.extend_i32_u').memory('i64.store', this.gpr(RSP))
    then()
  }

  private pop(): void {
    const { code } = this
    const [pointer, value] = [code.local('i32'), code.local('i32')]
    this.loadAt(() => code.i32(0).memory('i32.load', this.gpr(RSP)).tee(pointer), 'i32.load', 4)
    code.set(value)
    code.i32(0).get(pointer).i32(4).op('i32.add').op('i64.extend_i32_u').memory('i64.store', this.gpr(RSP))
    this.putRegisterAddress(0)
    code.get(value)
    this.storeRegister()
    this.next()
  }

  private ret(): void {
    const { code } = this
    const [pointer, target] = [code.local('i32'), code.local('i32')]
    this.loadAt(() => code.i32(0).memory('i32.load', this.gpr(RSP)).tee(pointer), 'i32.load', 4)
    code.set(target)
    code.i32(0).get(pointer).i32(4).op('i32.add').op('i64.extend_i32_u').memory('i64.store', this.gpr(RSP))
    code.get(target).op('i64.extend_i32_u').get(0)
    code.returnCall(this.support.jump)
  }

  private branch(cc: number): void {
    const { code } = this
    switch (cc >> 1) {
      case 1:
        this.state('i32.load', 'flagAux')
          .i32(0)
          .op(cc & 1 ? 'i32.ge_s' : 'i32.lt_s')
        break
      case 2:
        this.state('i64.load', 'flagResult').op('i64.eqz')
        if (cc & 1) code.op('i32.eqz')
        break
      default:
        throw new Error(`condition ${cc} was not written by hand`)
    }
    code.if()
    this.jumpRelative()
    code.end()
    this.next()
  }

  private jumpRelative(): void {
    const { code } = this
    const [link, left] = [code.local('i32'), code.local('i32')]
    code.get(0).memory('i32.load', Record.link).tee(link).if()
    this.state('i32.load', 'budget').get(0).memory('i32.load8_u', Record.count).op('i32.sub').tee(left)
    code.i32(0).op('i32.ge_s').if()
    code.i32(0).get(left).memory('i32.store', this.field('budget'))
    this.goTo(link, 0)
    code.end().end()
    code.get(0).returnCall(this.support.branch)
  }

  private next(): void {
    this.goTo(0, Record.size)
  }

  private field(name: CpuField): number {
    return this.base + cpuState.fields[name].offset
  }

  private gpr(index: number): number {
    return this.base + cpuState.fields.gpr.offset + 8 * index
  }

  private state(load: string, name: CpuField): Code {
    return this.code.i32(0).memory(load, this.field(name))
  }

  private setResult(r: number): void {
    this.code.i32(0).get(r).op('i64.extend_i32_s').memory('i64.store', this.field('flagResult'))
  }

  private setAux(): void {
    this.code.memory('i32.store', this.field('flagAux'))
  }

  private putRegisterAddress(n: number): void {
    this.code.get(0).memory('i32.load16_u', Record.registers[n]!)
  }

  private putRegister(n: number): void {
    this.putRegisterAddress(n)
    this.code.memory('i32.load', this.base)
  }

  private storeRegister(): void {
    this.code.op('i64.extend_i32_u').memory('i64.store', this.base)
  }

  private putSource(shape: Shape, form: string, slot: number): void {
    if (form[slot] === 'i') this.code.get(0).memory('i32.load', Record.immediate)
    else if (form[slot] === 'm') this.putLoaded(shape, slot, 'i32.load', 4)
    else this.putRegister([...form.slice(0, slot)].filter((kind) => kind === 'r').length)
  }

  private putEffectiveAddress(shape: Shape, slot: number): void {
    const operand = shape.operands[slot]!
    if (operand.kind !== 'mem') throw new Error('not a memory operand')
    const { code } = this
    code.get(0).memory('i32.load16_u', Record.base).memory('i32.load', this.base)
    code.get(0).memory('i32.load', Record.displacement).op('i32.add')
    if (!operand.form.indexed) return
    code.get(0).memory('i32.load16_u', Record.index).memory('i32.load', this.base)
    code.get(0).memory('i32.load8_u', Record.scale).op('i32.shl').op('i32.add')
  }

  private putLoaded(shape: Shape, slot: number, load: string, size: number): void {
    this.loadAt(() => this.putEffectiveAddress(shape, slot), load, size)
  }

  /** Leaves 1 when the TLB has the page; sets `linear` and `entry`. */
  private probe(tlb: 'tlbRead' | 'tlbWrite', putLinear: () => void, size: number, linear: number, entry: number): void {
    const { code } = this
    putLinear()
    code
      .tee(linear)
      .i32(12 - tlbEntry.log2Size)
      .op('i32.shr_u')
      .i32(((1 << pageIndexBits) - 1) << tlbEntry.log2Size)
      .op('i32.and')
    this.state('i32.load', tlb).op('i32.add').tee(entry).memory('i64.load', tlbEntry.tag)
    code.get(linear)
    if (size > 1) code.i32(size - 1).op('i32.add')
    code.i32(-4096).op('i32.and').op('i64.extend_i32_u').op('i64.eq')
  }

  private putTranslated(linear: number, entry: number): void {
    this.code.get(linear).get(entry).memory('i32.load', tlbEntry.addend).op('i32.add')
  }

  private slow(func: number, linear: number, size: number, address: number): void {
    const { code } = this
    code.get(linear).op('i64.extend_i32_u').i32(size).get(0).call(func).tee(address).op('i32.eqz').if()
    code.i32(0).return().end()
  }

  private loadAt(putLinear: () => void, load: string, size: number): void {
    const { code } = this
    const [linear, entry, address] = [code.local('i32'), code.local('i32'), code.local('i32')]
    this.probe('tlbRead', putLinear, size, linear, entry)
    code.if('i32')
    this.putTranslated(linear, entry)
    code.memory(load).else()
    this.slow(this.support.slowRead, linear, size, address)
    code.get(address).memory(load).end()
  }

  private storeTo(putLinear: () => void, putValue: () => void): void {
    const { code } = this
    const [linear, entry, address, value] = [code.local('i32'), code.local('i32'), code.local('i32'), code.local('i32')]
    putValue()
    code.set(value)
    this.probe('tlbWrite', putLinear, 4, linear, entry)
    code.if()
    this.putTranslated(linear, entry)
    code.get(value).memory('i32.store').else()
    this.slow(this.support.slowWrite, linear, 4, address)
    this.storeSlow(address, value)
    code.end()
  }

  private storeSlow(address: number, value: number): void {
    const { code } = this
    code.get(address).get(value).memory('i32.store')
    code.get(address).i32(this.physBase).op('i32.lt_u').if()
    code.call(this.support.commit).end()
  }

  /** a = the operand, then `compute`, then the operand = r. */
  private modify(shape: Shape, a: number, compute: () => void, r: number): void {
    const { code } = this
    const [linear, entry, address] = [code.local('i32'), code.local('i32'), code.local('i32')]
    this.probe('tlbWrite', () => this.putEffectiveAddress(shape, 0), 4, linear, entry)
    code.if()
    this.putTranslated(linear, entry)
    code.tee(address).memory('i32.load').set(a)
    compute()
    code.get(address).get(r).memory('i32.store').else()
    this.slow(this.support.slowModify, linear, 4, address)
    code.get(address).memory('i32.load').set(a)
    compute()
    this.storeSlow(address, r)
    code.end()
  }
}
