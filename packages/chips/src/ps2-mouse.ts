/**
 * PS/2 mouse, with the wheel of an IntelliMouse once its knock (sample rates 200, 100, 80) was heard.
 * Emulated: stream and remote mode, wrap mode, resolution, sample rate and scaling as registers, status request.
 * Not emulated: 2:1 scaling of the movement and the sample rate's timing.
 * [IBM PS/2 Hardware Interface Technical Reference, "Mouse"]
 */
const ACK = 0xfa
const BUFFER_SIZE = 64

export interface Ps2MouseState {
  version: 1
  id: number
  reporting: boolean
  remote: boolean
  wrap: boolean
  scaling: number
  resolution: number
  rate: number
  knock: number[]
  command: number
  last: number
  buttons: number
  dx: number
  dy: number
  dz: number
  queue: number[]
}

export class Ps2Mouse {
  #s = powerOn()
  readonly #ready: () => void

  constructor(options: { ready: () => void }) {
    this.#ready = options.ready
  }

  reset(): void {
    this.#s = powerOn()
  }

  /** Movement in counts (y upwards), wheel detents, and the buttons now down (bit 0 left, 1 right, 2 middle). */
  move(dx: number, dy: number, dz: number, buttons: number): void {
    const s = this.#s
    s.dx += dx
    s.dy += dy
    s.dz += dz
    s.buttons = buttons & 7
    if (!s.reporting || s.remote || s.wrap || s.queue.length > BUFFER_SIZE - 4) return
    do this.#packet()
    while ((s.dx || s.dy || s.dz) && s.queue.length <= BUFFER_SIZE - 4)
    this.#ready()
  }

  hasData(): boolean {
    return this.#s.queue.length > 0
  }

  next(): number | undefined {
    const byte = this.#s.queue.shift()
    if (byte !== undefined) this.#s.last = byte
    return byte
  }

  write(byte: number): void {
    const s = this.#s
    const command = s.command
    s.command = 0
    if (s.wrap && byte !== 0xff && byte !== 0xec) s.queue.push(byte)
    else if (command) this.#parameter(command, byte)
    else this.#command(byte)
    this.#ready()
  }

  save(): Ps2MouseState {
    return { ...this.#s, knock: [...this.#s.knock], queue: [...this.#s.queue] }
  }

  load(state: Ps2MouseState): void {
    this.#s = { ...state, knock: [...state.knock], queue: [...state.queue] }
  }

  #parameter(command: number, value: number): void {
    const s = this.#s
    s.queue.push(ACK)
    if (command === 0xe8) {
      s.resolution = value & 3
      return
    }
    s.rate = value
    s.knock = [...s.knock.slice(-2), value]
    if (s.knock.join() === '200,100,80') s.id = 3
  }

  #command(byte: number): void {
    const s = this.#s
    // Whatever was left of a movement packet is void once the host speaks.
    s.queue = [ACK]
    switch (byte) {
      case 0xe6:
      case 0xe7:
        s.scaling = byte & 1
        break
      case 0xe8:
      case 0xf3:
        s.command = byte
        break
      case 0xe9:
        s.queue.push(this.#status(), s.resolution, s.rate)
        break
      case 0xea:
        s.remote = false
        break
      case 0xeb:
        this.#packet()
        break
      case 0xec:
        s.wrap = false
        break
      case 0xee:
        s.wrap = true
        break
      case 0xf0:
        s.remote = true
        break
      case 0xf2:
        s.queue.push(s.id)
        break
      case 0xf4:
        s.reporting = true
        break
      case 0xf5:
        s.reporting = false
        break
      case 0xf6:
        this.#s = { ...powerOn(), id: s.id, queue: s.queue, last: s.last }
        break
      case 0xfe:
        s.queue = [s.last]
        break
      case 0xff:
        this.#s = { ...powerOn(), queue: [ACK, 0xaa, 0x00] }
        break
      default:
        s.queue = [0xfe]
    }
  }

  #status(): number {
    const s = this.#s
    const buttons = ((s.buttons & 1) << 2) | ((s.buttons & 4) >> 1) | ((s.buttons & 2) >> 1)
    return (s.remote ? 0x40 : 0) | (s.reporting ? 0x20 : 0) | (s.scaling << 4) | buttons
  }

  #packet(): void {
    const s = this.#s
    const dx = clamp(s.dx, 255)
    const dy = clamp(s.dy, 255)
    const dz = s.id === 3 ? clamp(s.dz, 7) : 0
    s.queue.push(0x08 | s.buttons | (dx < 0 ? 0x10 : 0) | (dy < 0 ? 0x20 : 0), dx & 0xff, dy & 0xff)
    // The wheel counts towards the user.
    if (s.id === 3) s.queue.push(-dz & 0xff)
    s.dx -= dx
    s.dy -= dy
    s.dz = s.id === 3 ? s.dz - dz : 0
  }
}

function powerOn(): Ps2MouseState {
  return {
    version: 1,
    id: 0,
    reporting: false,
    remote: false,
    wrap: false,
    scaling: 0,
    resolution: 2,
    rate: 100,
    knock: [],
    command: 0,
    last: 0,
    buttons: 0,
    dx: 0,
    dy: 0,
    dz: 0,
    queue: [],
  }
}

function clamp(value: number, limit: number): number {
  return Math.max(-limit, Math.min(limit, value))
}
