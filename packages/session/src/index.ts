export { TRACE_EVENT_WEIGHT, type SessionCommand, type SessionEvent, type SessionStats } from './messages.ts'
export { seededRandom } from './random.ts'
export { startSession, type Session, type SessionHost } from './session.ts'
export type { ChannelSpec, EngineSpec, MachineSpec, ScreenSize, VirtioSpec } from './spec.ts'
