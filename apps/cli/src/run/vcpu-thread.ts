/** The thread that the vCPU runs in, with the machine around it. Its first message is the specification, the others are commands. */
import { parentPort } from 'node:worker_threads'
import { startSession, type MachineSpec, type Session, type SessionCommand } from '@guestmode/session'
import { nodeHost } from './node-host.ts'

if (!parentPort) throw new Error('vcpu-thread is not a program')
const port = parentPort
let session: Session | undefined

port.on('message', (message: MachineSpec | SessionCommand) => {
  if (session) session.receive(message as SessionCommand)
  else session = startSession(message as MachineSpec, (event) => port.postMessage(event), nodeHost)
})
