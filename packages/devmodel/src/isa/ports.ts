import type { I8042 } from '@guestmode/chips'
import type { CharBackend } from '../backends/char.ts'
import type { PortDevice } from '../bus/port-bus.ts'

/** Ports 60h and 64h: the keyboard controller decodes two ports of its range, so each has its own claim. */
export function keyboardPorts(chip: I8042): { data: PortDevice; command: PortDevice } {
  return {
    data: { width: 1, read: () => chip.readData(), write: (_offset, value) => chip.writeData(value) },
    command: { width: 1, read: () => chip.readStatus(), write: (_offset, value) => chip.writeCommand(value) },
  }
}

/**
 * System control port A, 92h: bit 0 pulses reset, bit 1 is the fast A20 gate. A20 is always open on this board; the bit is
 * remembered.
 */
export function systemControlA(reset: () => void): PortDevice {
  let value = 0x02
  return {
    width: 1,
    read: () => value & ~1,
    write: (_offset, written) => {
      const pulsed = written & 1 && !(value & 1)
      value = written & 0x03
      if (pulsed) reset()
    },
  }
}

/** Reset control register, CF9h: a rising bit 2 resets. [82371AB (PIIX4) 290562, "RC - Reset Control Register"] */
export function resetControl(reset: () => void): PortDevice {
  let value = 0
  return {
    width: 1,
    read: () => value,
    write: (_offset, written) => {
      const rising = written & 4 && !(value & 4)
      value = written & 0x0a
      if (rising) reset()
    },
  }
}

/** The last POST code written. */
export function postCode(): PortDevice {
  let value = 0
  return { width: 1, read: () => value, write: (_offset, written) => void (value = written) }
}

/** A write ends the machine with status (value << 1) | 1. */
export function debugExit(end: (status: number) => void): PortDevice {
  return { width: 4, read: () => 0, write: (_offset, value) => end(((value << 1) | 1) & 0xff) }
}

/** Bytes for the host's developer; reading E9h tells a guest that the port is there. */
export function debugConsole(backend: CharBackend): PortDevice {
  return { width: 1, read: () => 0xe9, write: (_offset, value) => backend.write(Uint8Array.of(value)) }
}
