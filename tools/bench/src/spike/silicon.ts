/**
 * The insides of silicon that the spike measures, as they are built. The package's public face does not show them, and a
 * path into another package's sources would make TypeScript compile them twice.
 */
export { Stage, loadOp, storeOp, type Callees, type StageContext } from '../../../../packages/silicon/dist/stage/stage.js'
export { type Node } from '../../../../packages/silicon/dist/stage/graph.js'
export { MemoryAccess } from '../../../../packages/silicon/dist/interp/access.js'
export { BlockCache } from '../../../../packages/silicon/dist/interp/block-cache.js'
export { ChainExit } from '../../../../packages/silicon/dist/interp/chain-exit.js'
export { codeModes, codeModeNumber } from '../../../../packages/silicon/dist/interp/code-mode.js'
export { Decoder } from '../../../../packages/silicon/dist/interp/decoder.js'
export type { LoopCode } from '../../../../packages/silicon/dist/interp/handler-code.js'
export { HandlerStage } from '../../../../packages/silicon/dist/interp/handler-stage.js'
export { Handlers } from '../../../../packages/silicon/dist/interp/handlers.js'
export { importHostCalls, type HostCalls } from '../../../../packages/silicon/dist/interp/host-calls.js'
export { FixedHandler, writeLoop } from '../../../../packages/silicon/dist/interp/loop.js'
export { Record } from '../../../../packages/silicon/dist/interp/record.js'
export { RecordWriter } from '../../../../packages/silicon/dist/interp/record-writer.js'
export { shapeKey, shapeOf, type Shape } from '../../../../packages/silicon/dist/interp/shape.js'
export { Fragments, writeSupport } from '../../../../packages/silicon/dist/interp/support.js'
export { MachineMemory } from '../../../../packages/silicon/dist/machine/memory.js'
export {
  pageIndexBits,
  privateLayout,
  tlbEntry,
  type PrivateLayout,
} from '../../../../packages/silicon/dist/machine/private-layout.js'
export { Tlb } from '../../../../packages/silicon/dist/machine/tlb.js'
export { createStateView, type CpuStateView } from '../../../../packages/silicon/dist/cpu/state-view.js'
