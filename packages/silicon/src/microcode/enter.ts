import type { Cpu } from '../cpu/cpu.ts'
import { currentStack } from './stack.ts'
import { setGpr16, setGpr32 } from './words.ts'

const RSP = 4
const RBP = 5

/** ENTER with a nesting level above 0. [SDM2 "ENTER—Make Stack Frame for Procedure Parameters"] */
export function enterNested(cpu: Cpu, operandSize: 16 | 32 | 64, bytes: number, level: number): void {
  const { state } = cpu
  const size = (operandSize / 8) as 2 | 4 | 8
  const stack = currentStack(cpu)
  const rbp = state.gpr.get(RBP)
  stack.push(size, BigInt.asUintN(operandSize, rbp))
  // A 16-bit stack with 32-bit operands: the frame pointer has the upper half of ESP.
  const frame = stack.width === 16 ? (state.gpr.get(RSP) & 0xffff_0000n) | stack.sp : stack.sp
  const outer = currentStack(cpu)
  for (let i = 1; i < level; i++) {
    outer.sp = BigInt.asUintN(stack.width, rbp - BigInt(i * size))
    stack.push(size, outer.pop(size))
  }
  stack.push(size, BigInt.asUintN(operandSize, frame))
  stack.probe(bytes, size)

  if (operandSize === 64) state.gpr.set(RBP, frame)
  else if (operandSize === 32) setGpr32(cpu, RBP, Number(BigInt.asUintN(32, frame)))
  else setGpr16(cpu, RBP, Number(frame & 0xffffn))
  stack.skip(-bytes)
  stack.commit()
}
