import { fpuMicrocode, type FpuMachine, type FpuRegisters } from '@guestmode/x86'
import type { CpuStateView } from '../cpu/state-view.ts'

const wide = { operandSize: 64, codeWidth: 64, ip: 0n, opcode: 0 } as const
const withVectors = 0x200n

/** FXSAVE and FXRSTOR of host software, in the 64-bit format, to and from 512 bytes of its own. */
function machineOver(state: CpuStateView, image: Uint8Array): FpuMachine {
  if (image.length < 512) throw new RangeError('an FXSAVE image has 512 bytes')
  const view = new DataView(image.buffer, image.byteOffset, 512)
  return {
    state: Object.create(state, { cr4: { value: withVectors } }) as FpuRegisters,
    instruction: wide,
    load(address, size) {
      const at = Number(address)
      if (size === 8) return view.getBigUint64(at, true)
      return BigInt(size === 4 ? view.getUint32(at, true) : size === 2 ? view.getUint16(at, true) : view.getUint8(at))
    },
    store(address, size, value) {
      const at = Number(address)
      if (size === 8) view.setBigUint64(at, BigInt.asUintN(64, value), true)
      else if (size === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true)
      else if (size === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true)
      else view.setUint8(at, Number(BigInt.asUintN(8, value)))
    },
    probe: () => undefined,
    linear: (address) => address,
    fault(vector) {
      throw new RangeError(`the FXSAVE image is not valid (exception ${vector})`)
    },
  }
}

export function saveFxState(state: CpuStateView, into: Uint8Array): void {
  fpuMicrocode.fxsave!(machineOver(state, into), [0n])
}

/** Throws RangeError when MXCSR has reserved bits set. */
export function loadFxState(state: CpuStateView, from: Uint8Array): void {
  fpuMicrocode.fxrstor!(machineOver(state, from), [0n])
}
