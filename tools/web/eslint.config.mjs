// The page's scripts are ES modules that a browser runs as they are.
import js from '@eslint/js';

const browser = [
  'AbortController',
  'CustomEvent',
  'DOMException',
  'EventSource',
  'FormData',
  'Intl',
  'Node',
  'URL',
  'URLSearchParams',
  'clearInterval',
  'clearTimeout',
  'console',
  'document',
  'fetch',
  'history',
  'localStorage',
  'location',
  'matchMedia',
  'navigator',
  'performance',
  'queueMicrotask',
  'requestAnimationFrame',
  'sessionStorage',
  'setInterval',
  'setTimeout',
  'window',
  'addEventListener',
  'CSS',
  'HTMLElement',
  'HTMLInputElement',
  'ResizeObserver',
  'TextDecoder',
];

export default [
  js.configs.recommended,
  {
    languageOptions: {
      sourceType: 'module',
      globals: Object.fromEntries(browser.map((name) => [name, 'readonly'])),
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
  },
];
