/** How a run of the machine ended. */
export type VmEnd =
  | { readonly kind: 'power-off' }
  /** The guest asked for a reset, by this means. The owner decides whether to build the machine again. */
  | { readonly kind: 'reset'; readonly by: string }
  /** A byte written to the debug exit port; the status that it stands for is (value << 1) | 1. */
  | { readonly kind: 'debug-exit'; readonly status: number }
  | { readonly kind: 'triple-fault'; readonly facts: Facts }
  /** The engine cannot go on. */
  | { readonly kind: 'internal-error'; readonly reason: string; readonly facts: Facts }
  /** `stop` was called. */
  | { readonly kind: 'quit' }

/** Names and values for a person to read: registers, error data. */
export type Facts = Readonly<Record<string, string>>
