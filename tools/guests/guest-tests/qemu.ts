import { spawn, spawnSync } from 'node:child_process'

export const qemuVersion = (): string | undefined =>
  spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' }).stdout?.split('\n')[0]

export type Step = { wait: RegExp; send?: string }

/** Runs QEMU with its console on stdio; each step waits for a text in what came since the step before, then types. */
export function runQemu(
  args: readonly string[],
  steps: readonly Step[],
  timeoutMs: number,
): Promise<{ output: string; status: number | null; seconds: number }> {
  return new Promise((resolve, reject) => {
    const begin = Date.now()
    const child = spawn('qemu-system-x86_64', ['-accel', 'tcg', '-display', 'none', '-no-reboot', '-nodefaults', ...args], {
      stdio: 'pipe',
    })
    let output = ''
    let mark = 0
    let next = 0
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(
        new Error(
          `QEMU waits for ${String(steps[next]?.wait ?? 'its end')} after ${timeoutMs} ms; the last it said:\n${output.slice(-2000)}`,
        ),
      )
    }, timeoutMs)
    const finish = (status: number | null) => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      resolve({ output, status, seconds: (Date.now() - begin) / 1000 })
    }
    const onText = (text: string) => {
      output += text
      // A line editor asks where the cursor is before it shows its prompt.
      for (let n = text.split('\x1b[6n').length; n > 1; n--) child.stdin.write('\x1b[10;1R')
      for (let step = steps[next]; step !== undefined && step.wait.test(output.slice(mark)); step = steps[next]) {
        mark = output.length
        next++
        if (step.send !== undefined) child.stdin.write(step.send)
        else if (next === steps.length) return finish(null)
      }
    }
    child.stdin.on('error', () => undefined)
    child.stdout.setEncoding('utf8').on('data', onText)
    child.stderr.setEncoding('utf8').on('data', onText)
    child.on('error', reject)
    child.on('close', finish)
  })
}
