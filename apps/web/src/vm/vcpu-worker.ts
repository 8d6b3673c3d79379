/** The worker that the vCPU runs in, with the machine around it. Its first message is the specification, the others are commands. */
import { startSession, type MachineSpec, type Session, type SessionCommand } from '@guestmode/session'
import { createWebHost } from './web-host.ts'

const scope = globalThis as unknown as DedicatedWorkerGlobalScope
let session: Session | undefined

scope.onmessage = ({ data }: MessageEvent<MachineSpec | SessionCommand>) => {
  if (session) session.receive(data as SessionCommand)
  else session = startSession(data as MachineSpec, (event) => scope.postMessage(event), createWebHost())
}
