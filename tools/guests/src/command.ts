import { spawn } from 'node:child_process'

export type CommandResult = { status: number; stdout: string; stderr: string }

/** Runs a program; a program that is not there has status 127. */
export function run(
  program: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
    child.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' ? resolve({ status: 127, stdout, stderr: `${program}: not found` }) : reject(error),
    )
    child.on('close', (status) => resolve({ status: status ?? 1, stdout, stderr }))
  })
}
