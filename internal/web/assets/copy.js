// Commands to type, each with a button that copies it.
import { h, setText } from './dom.js';

// toClipboard copies a text. Browsers give the clipboard to secure origins only: on others
// the text is selected and copied by the old command.
async function toClipboard(text, element) {
  if (window.isSecureContext && navigator.clipboard) return navigator.clipboard.writeText(text);
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = document.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  if (!document.execCommand('copy')) throw new Error('the browser does not copy');
  return undefined;
}

const PROGRAMS =
  /^(sudo )?(mptcpctl|ip|sysctl|nft|iptables|ip6tables|tc|ss|systemctl|nmcli|modprobe|echo|sh) /;

// step returns one thing to do: a command with its button, or words.
export const step = (text) => (PROGRAMS.test(text) ? command(text) : h('p', {}, text));

// command returns a line to type with a button that copies it.
export function command(text) {
  const code = h('code', {}, text);
  const button = h('button', { type: 'button', 'aria-label': 'Copy: ' + text }, 'Copy');
  button.addEventListener('click', async () => {
    try {
      await toClipboard(text, code);
      setText(button, 'Copied');
    } catch {
      setText(button, 'Select it');
    }
    setTimeout(() => setText(button, 'Copy'), 1500);
  });
  return h('div', { class: 'command' }, code, button);
}

// inside puts in front of a command what makes it act on a namespace.
export const inside = (netns, text) => 'mptcpctl ' + (netns ? `-n ${netns} ` : '') + text;
