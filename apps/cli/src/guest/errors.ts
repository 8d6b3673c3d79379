export type GuestProblem = 'no-network' | 'no-space' | 'corrupt' | 'offline' | 'npm' | 'access'

/** Why a guest cannot be had, in words for its user: what happened, and what to do. */
export class GuestError extends Error {
  override readonly name = 'GuestError'
  readonly problem: GuestProblem

  constructor(problem: GuestProblem, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.problem = problem
  }
}

/** Turns an error of the file system into words; other errors pass through. */
export function explainFileError(error: unknown, folder: string): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  const where = `the cache (${folder}). GUESTMODE_CACHE names another place for it`
  if (code === 'ENOSPC' || code === 'EDQUOT') return new GuestError('no-space', `There is no space left in ${where}.`, error)
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR')
    return new GuestError('access', `Cannot write to ${where}. (${code})`, error)
  return error
}
