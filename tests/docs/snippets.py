# SPDX-License-Identifier: Apache-2.0
"""Code blocks of pages, and the marked regions of the files in examples/snippets that they must equal.

A region lies between a line that ends with `>>> PAGE` and one that ends with `<<<`, both comments; it
is compared without what all its lines are indented by.
"""
import pathlib
import re
import textwrap

FENCE = re.compile(r"^```(\S*)\s*$")
MARK = re.compile(r"^\s*(?://|#) >>> (\S+)$")
END = re.compile(r"^\s*(?://|#) <<<$")


class Block:
    def __init__(self, page, line, language, text, before):
        self.page, self.line, self.language, self.text = page, line, language, text
        self.before = before  # the line before the block

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(page, text):
    """The fenced blocks of a page, and the lines where an indented one begins."""
    blocks, indented = [], []
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        if opened := FENCE.match(lines[at]):
            end = next((k for k in range(at + 1, len(lines)) if lines[k].rstrip() == "```"), len(lines))
            before = lines[at - 1].strip() if at else ""
            blocks.append(Block(page, at + 1, opened[1], "\n".join(lines[at + 1 : end]), before))
            at = end
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            indented.append(at + 1)
        at += 1
    return blocks, indented


def regions_of(path):
    """(page, line, text) of each marked region of a file."""
    regions, page, first, inside = [], None, 0, []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if begun := MARK.match(line):
            if page:
                raise SystemExit(f"{path}:{number}: a region begins inside another")
            page, first, inside = begun[1], number, []
        elif END.match(line):
            if not page:
                raise SystemExit(f"{path}:{number}: no region ends here")
            regions.append((page, first, textwrap.dedent("\n".join(inside))))
            page = None
        elif page:
            inside.append(line)
    if page:
        raise SystemExit(f"{path}:{first}: the region has no end")
    return regions


def pages_of(checkout):
    """The pages whose blocks are checked, by their paths in the checkout."""
    checkout = pathlib.Path(checkout)
    paths = [checkout / "README.md", *sorted((checkout / "docs").glob("*.md"))]
    return {path.relative_to(checkout).as_posix(): path.read_text(encoding="utf-8") for path in paths}
