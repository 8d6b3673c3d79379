import { dataViewOf, type KvmFpu } from '@guestmode/kvm-abi'
import type { Vcpu } from '../vcpu.ts'

/** Between FXSAVE images, `kvm_fpu`, and the XSAVE area. [SDM1 10.5.1 "FXSAVE Area", 13.4 "XSAVE Area"] */

const FX_BYTES = 512
const ST = 32
const XMM = 160
const XSTATE_BV = 512
const X87_AND_SSE = 3n

function image(vcpu: Vcpu): Uint8Array {
  const fx = new Uint8Array(FX_BYTES)
  vcpu.processor.registers.saveFxState(fx)
  return fx
}

export function getFpu(vcpu: Vcpu): KvmFpu {
  const fx = image(vcpu)
  const view = dataViewOf(fx)
  return {
    fpr: fx.slice(ST, ST + 128),
    fcw: view.getUint16(0, true),
    fsw: view.getUint16(2, true),
    ftwx: fx[4]!,
    lastOpcode: view.getUint16(6, true),
    lastIp: view.getBigUint64(8, true),
    lastDp: view.getBigUint64(16, true),
    xmm: fx.slice(XMM, XMM + 256),
    mxcsr: view.getUint32(24, true),
  }
}

export function setFpu(vcpu: Vcpu, fpu: KvmFpu): void {
  const fx = image(vcpu)
  const view = dataViewOf(fx)
  fx.set(fpu.fpr, ST)
  view.setUint16(0, fpu.fcw, true)
  view.setUint16(2, fpu.fsw, true)
  fx[4] = fpu.ftwx
  view.setUint16(6, fpu.lastOpcode, true)
  view.setBigUint64(8, fpu.lastIp, true)
  view.setBigUint64(16, fpu.lastDp, true)
  fx.set(fpu.xmm, XMM)
  view.setUint32(24, fpu.mxcsr & MXCSR_MASK, true)
  vcpu.processor.registers.loadFxState(fx)
}

const MXCSR_MASK = 0xffff
const MXCSR_INITIAL = 0x1f80
const FCW_INITIAL = 0x37f

export function getXsave(vcpu: Vcpu, area: Uint8Array): void {
  area.fill(0)
  area.set(image(vcpu))
  dataViewOf(area).setBigUint64(XSTATE_BV, X87_AND_SSE, true)
}

/** False: EINVAL. */
export function setXsave(vcpu: Vcpu, area: Uint8Array): boolean {
  const view = dataViewOf(area)
  const present = view.getBigUint64(XSTATE_BV, true)
  if ((present & ~X87_AND_SSE) !== 0n || (view.getUint32(24, true) & ~MXCSR_MASK) !== 0) return false
  const fx = area.slice(0, FX_BYTES)
  const into = dataViewOf(fx)
  // A component that is left out gets its initial state.
  if ((present & 1n) === 0n) {
    fx.fill(0, 0, 24)
    fx.fill(0, ST, XMM)
    into.setUint16(0, FCW_INITIAL, true)
  }
  if ((present & 2n) === 0n) {
    fx.fill(0, XMM, XMM + 256)
    into.setUint32(24, MXCSR_INITIAL, true)
  }
  vcpu.processor.registers.loadFxState(fx)
  return true
}
