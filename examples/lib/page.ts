// The frame of the pages that examples make by themselves. Small, and one file with everything in it: the board serves one request at a
// time, so a page comes fastest in one piece.

/** Text as a part of HTML: what somebody typed must not become a tag, nor end an attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

/**
 * A page that is readable on a phone, too.
 * @param title text
 * @param content HTML
 */
export function page(title: string, content: string): string {
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>${escapeHtml(title)}</title>
<style>
  body { margin: 0 auto; max-width: 560px; padding: 20px; background: #f2f5f1; color: #1d2b24; font: 17px/1.5 system-ui, sans-serif }
  h1 { margin: 4px 0 16px; font-size: 26px; line-height: 1.2; overflow-wrap: anywhere }
  section { margin: 16px 0; padding: 16px; border-radius: 12px; background: #fff; box-shadow: 0 1px 3px #0003 }
  section > :first-child { margin-top: 0 }
  section > :last-child { margin-bottom: 0 }
  a { color: #15803d }
  button { padding: 10px 20px; border: 0; border-radius: 8px; background: #14532d; color: #fff; font: inherit; cursor: pointer }
  button:disabled { opacity: .5 }
  .big { font-size: 40px; line-height: 1.2 }
  .quiet { color: #5b6b62; font-size: 15px }
  .bad { color: #b42318 }
</style>
<h1>${escapeHtml(title)}</h1>
${content}`;
}
