import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'
import layers from './tools/layers/layers.json' with { type: 'json' }

const neutral = layers.neutral.map((name) => `packages/${name}/src/**/*.ts`)
const tests = ['**/*.test.ts', '**/test/**', '**/guest-tests/**']

const injected = 'is not there in every host of this package: have it injected.'
// prettier-ignore
const platform = [
  'process', 'Buffer', 'global', 'require', 'module', '__dirname', '__filename', 'setImmediate', 'clearImmediate',
  'window', 'self', 'document', 'navigator', 'location', 'localStorage', 'postMessage', 'Worker', 'requestAnimationFrame',
  'console', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'queueMicrotask', 'structuredClone', 'performance', 'crypto',
  'fetch', 'URL', 'TextDecoder', 'TextEncoder', 'WebAssembly', 'atob', 'btoa',
]

export default defineConfig(
  globalIgnores(['**/dist/', '**/coverage/', '**/.turbo/']),
  js.configs.recommended,
  tseslint.configs.recommended,
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrorsIgnorePattern: '^_' },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      // TypeScript itself finds undefined names, knowing each package's environment.
      'no-undef': 'off',
      '@typescript-eslint/no-explicit-any': ['error', { ignoreRestArgs: true }],
      'max-lines': ['error', { max: 700 }],
    },
  },
  {
    name: 'neutral packages: no platform, no time, no randomness of their own',
    files: neutral,
    ignores: tests,
    rules: {
      'no-console': 'error',
      'no-restricted-globals': ['error', ...platform.map((name) => ({ name, message: `'${name}' ${injected}` }))],
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: `Randomness ${injected}` },
        { object: 'Date', property: 'now', message: `Time ${injected}` },
        { object: 'globalThis', property: 'WebAssembly', message: `WebAssembly ${injected}` },
      ],
      'no-restricted-syntax': [
        'error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: `Time ${injected}` },
        { selector: "CallExpression[callee.name='Date']", message: `Time ${injected}` },
      ],
    },
  },
  {
    name: 'tables may be long',
    files: [
      '**/{table,tables,vectors,generated}/**',
      '**/*{-table,-tables,-vectors,-binary}.ts',
      '**/*.{table,tables,vectors}.ts',
    ],
    rules: { 'max-lines': 'off' },
  },
  {
    name: 'the check of the Node version runs on every Node',
    files: ['scripts/require-node.cjs'],
    languageOptions: { ecmaVersion: 5, sourceType: 'commonjs' },
    rules: { 'no-var': 'off' },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: { sourceType: 'commonjs' },
    rules: { '@typescript-eslint/no-require-imports': 'off' },
  },
)
