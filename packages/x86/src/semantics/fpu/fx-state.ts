import type { Builder, Semantic, StagedOperand, Val } from '../builder.ts'
import { lo64, hi64, pair } from '../sse/operand.ts'
import { BUSY, ES } from '../../softfloat/x87.ts'
import { c32, c64, mantissa, physical, setRegister } from './stack.ts'

/**
 * FXSAVE and FXRSTOR are on the path of every task switch, so they are generated code; without CR4.OSFXSR they are microcode.
 * [SDM1 10.5.1 "FXSAVE Area"]
 */
const EM = 4
const TS = 8
const MXCSR_MASK = 0xffffn
const STACK = 32
const VECTORS = 160

const nonZero = (s: Builder, value: Val): Val => s.ne(value, s.const(value.width, 0))

/** #UD by EM, #NM by TS, #GP(0) off a 16-byte boundary; no #MF. Checks the first and the last byte, which may be in two pages. */
function begin(s: Builder, memory: StagedOperand, write: boolean): void {
  const cr0 = s.trunc(s.get('cr0'), 32)
  s.if(nonZero(s, s.and(cr0, c32(s, EM))), () => s.fault(6))
  s.if(nonZero(s, s.and(cr0, c32(s, TS))), () => s.fault(7))
  const address = s.address(memory)
  s.if(nonZero(s, s.and(address, s.const(address.width, 15))), () => s.fault(13, c32(s, 0)))
  // The last byte first, as Intel's processors do: CR2 tells.
  for (const offset of [511, 0]) {
    const byte = s.at(memory, offset, 8)
    if (write) s.readForWrite(byte)
    else s.read(byte)
  }
}

const hasVectors = (s: Builder): Val => nonZero(s, s.and(s.trunc(s.get('cr4'), 32), c32(s, 0x200)))
const isWide = (s: Builder): boolean => s.codeWidth === 64 && s.operandSize === 64
const vectorCount = (s: Builder): number => (s.codeWidth === 64 ? 16 : 8)
const place = (s: Builder, value: Val, bit: number): Val => s.shl(s.zext(value, 64), c64(s, bit))

const FXSAVE: Semantic = (s, memory) => {
  begin(s, memory!, true)
  const pointer = (offset: 'fpIp' | 'fpDp'): Val => (isWide(s) ? s.get(offset) : s.and(s.get(offset), c64(s, 0xffff_ffff)))
  const store = (offset: number, value: Val): void => s.write(s.at(memory!, offset, 128), value)
  s.if(
    hasVectors(s),
    () => {
      const top = s.get('fpTop')
      const status = s.or(s.get('fpStatus'), s.shl(top, c32(s, 11)))
      const valid = s.xor(s.get('fpEmpty'), c32(s, 0xff))
      const words = s.or(
        s.or(s.zext(s.get('fpControl'), 64), place(s, status, 16)),
        s.or(place(s, valid, 32), place(s, s.get('fpOpcode'), 48)),
      )
      store(0, pair(s, words, pointer('fpIp')))
      const mxcsr = s.or(s.zext(s.get('mxcsr'), 64), c64(s, MXCSR_MASK << 32n))
      store(16, pair(s, pointer('fpDp'), mxcsr))
      for (let i = 0; i < 8; i++) {
        const register = physical(s, c32(s, i))
        store(STACK + 16 * i, pair(s, mantissa(s, register), s.zext(s.get('fpExp', register), 64)))
      }
      for (let i = 0; i < vectorCount(s); i++) store(VECTORS + 16 * i, s.get('xmm', i))
    },
    () => {
      s.microcode('fxsave', [s.address(memory!)], 0)
    },
  )
}

const FXRSTOR: Semantic = (s, memory) => {
  begin(s, memory!, false)
  const load = (offset: number): Val => s.read(s.at(memory!, offset, 128))
  const word = (value: Val, bit: number, mask: number): Val => s.and(s.trunc(s.shr(value, c64(s, bit)), 32), c32(s, mask))
  s.if(
    hasVectors(s),
    () => {
      const [first, second] = [load(0), load(16)]
      const [words, ip, dp] = [lo64(s, first), hi64(s, first), lo64(s, second)]
      const mxcsr = s.trunc(hi64(s, second), 32)
      s.if(nonZero(s, s.and(mxcsr, c32(s, 0xffff_0000))), () => s.fault(13, c32(s, 0)))
      s.set('mxcsr', mxcsr)
      const control = s.or(word(words, 0, 0x1f7f), c32(s, 0x40))
      s.set('fpControl', control)
      const status = word(words, 16, 0x477f)
      const pending = nonZero(s, s.and(s.and(status, s.not(control)), c32(s, 0x3f)))
      s.set('fpStatus', s.or(status, s.select(pending, c32(s, ES | BUSY), c32(s, 0))))
      s.set('fpTop', word(words, 27, 7))
      s.set('fpEmpty', s.xor(word(words, 32, 0xff), c32(s, 0xff)))
      s.set('fpOpcode', word(words, 48, 0x7ff))
      const low = (value: Val): Val => (isWide(s) ? value : s.and(value, c64(s, 0xffff_ffff)))
      s.set('fpIp', low(ip))
      s.set('fpDp', low(dp))
      for (let i = 0; i < 8; i++) {
        const value = load(STACK + 16 * i)
        setRegister(s, physical(s, c32(s, i)), lo64(s, value), s.trunc(hi64(s, value), 32))
      }
      for (let i = 0; i < vectorCount(s); i++) s.set('xmm', load(VECTORS + 16 * i), i)
    },
    () => {
      s.microcode('fxrstor', [s.address(memory!)], 0)
    },
  )
}

export const fxStateSemantics = { FXSAVE, FXRSTOR }
