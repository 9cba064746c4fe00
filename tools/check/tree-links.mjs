import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Prose without its code: links in code blocks and in `code` are examples. Lines keep their numbers. */
function withoutCode(text) {
  const blank = (match) => match.replaceAll(/[^\n]/g, ' ');
  return text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, blank).replaceAll(/`[^`\n]*`/g, blank);
}

/** The anchors that a page's headings get where Markdown is shown: lower case, words joined by dashes, `-1` for a second one. */
function anchorsOf(text) {
  const seen = new Map();
  const anchors = new Set();
  for (const [, heading] of text.replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '').matchAll(/^#{1,6} +(.+?) *#*$/gm)) {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M} _-]/gu, '')
      .replaceAll(' ', '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    anchors.add(count === 0 ? slug : `${slug}-${count}`);
  }
  for (const [, id] of text.matchAll(/<a (?:id|name)="([^"]+)"/g)) anchors.add(id);
  return anchors;
}

/**
 * The links of a Markdown page that lead to a file or a heading that is not there. Links out of the repository are not followed.
 *
 * @param {string} root the top of the tree
 * @param {string} path the page, from the top
 * @param {string} text what is in it
 * @returns {string[]} one line for each, `path:line: …`
 */
export function deadLinks(root, path, text) {
  const problems = [];
  withoutCode(text)
    .split('\n')
    .forEach((line, index) => {
      for (const [, , target] of line.matchAll(/(!?)\[[^\]]*\]\(([^)\s]+)(?: "[^"]*")?\)/g)) {
        if (/^[a-z][a-z+.-]*:/i.test(target)) continue;
        const [file, anchor] = target.split('#');
        const page = file === '' ? path : join(file.startsWith('/') ? '.' : dirname(path), decodeURIComponent(file));
        const at = `${path}:${index + 1}`;
        if (!existsSync(join(root, page))) problems.push(`${at}: the link must lead to a file; there is no ${page}`);
        else if (anchor !== undefined && anchor !== '' && page.endsWith('.md')) {
          const there = page === path ? text : readFileSync(join(root, page), 'utf8');
          if (!anchorsOf(there).has(anchor)) problems.push(`${at}: there is no heading #${anchor} in ${page}`);
        }
      }
    });
  return problems;
}
