/** A mistake in the source text, with its place. Lines and columns count from 1. */
export class AssemblyError extends Error {
  override readonly name = 'AssemblyError'
  readonly reason: string
  readonly line: number
  readonly column: number

  constructor(reason: string, line: number, column: number) {
    super(`${line}:${column}: ${reason}`)
    this.reason = reason
    this.line = line
    this.column = column
  }
}
