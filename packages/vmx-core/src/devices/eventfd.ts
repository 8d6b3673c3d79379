import type { EventFd } from '@guestmode/kvm-abi'

/** eventfd(2) without a kernel. */
export class Counter implements EventFd {
  readonly fd: number
  listener: (() => void) | undefined
  /** What KVM_IRQFD tied to it; consumes the count. */
  irqfd: (() => void) | undefined
  #count = 0n
  readonly #closed: () => void

  constructor(fd: number, closed: () => void) {
    this.fd = fd
    this.#closed = closed
  }

  signal(count = 1n): void {
    this.#count += count
    if (this.irqfd === undefined) this.listener?.()
    else {
      this.#count = 0n
      this.irqfd()
    }
  }

  consume(): bigint {
    const count = this.#count
    this.#count = 0n
    return count
  }

  close(): void {
    this.irqfd = this.listener = undefined
    this.#closed()
  }
}
