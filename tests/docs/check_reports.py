# SPDX-License-Identifier: Apache-2.0
"""Checks that every row of every report is defined in the docs.

    check_reports.py GOLDEN-DIRECTORY DOCS-DIRECTORY
    check_reports.py --self-test

The reports are those that tests/golden has recorded, in JSON and as text. A key is defined where a page
names it between backticks; a row of the comparison of strategies where a table of the docs begins with it.
"""
import glob
import json
import os
import re
import sys

# Names of the caller's own: resources, columns, modes, and what he gave as options.
OWN = {"audio", "words", "turns", "frames", "text"}


def keys_of(value, found):
    if isinstance(value, dict):
        for key, one in value.items():
            if re.fullmatch("[a-z0-9_]+", key):
                found.add(key)
            keys_of(one, found)
    elif isinstance(value, list):
        for one in value:
            keys_of(one, found)
    return found


def rows_of(lines):
    """The rows of a comparison of strategies, which end with an empty line."""
    inside = False
    for line in lines:
        if re.search(r"unbalanced +paper +(current +)?planned", line):
            inside = True
        elif not line:
            inside = False
        elif inside:
            yield re.split(" {2,}", line)[0]


def undefined(answers, docs):
    words = {word for span in re.findall("`([^`\n]+)`", docs) for word in re.findall("[A-Za-z0-9_]+", span)}
    first_cells = {cell.strip() for row in re.findall(r"^\|([^|]*)\|", docs, re.M) for cell in re.split(r", (?=[a-z])", row)}
    first_cells |= {row.strip() for row in re.findall(r"^\|([^|]*)\|", docs, re.M)}
    keys, rows = set(), set()
    for answer in answers:
        keys_of(answer.get("report"), keys)
        text = answer.get("text") or []
        rows.update(rows_of(text.splitlines() if isinstance(text, str) else text))
    return sorted(keys - words - OWN), sorted(rows - first_cells)


def self_test():
    docs = "| row | |\n|---|---|\n| time, steps | |\n| padding, share of tokens | |\n`known`, `a.other`\n"
    text = ["      unbalanced   paper  planned", "time    1  2  3", "padding, share of tokens  1", "waiting  2", "", "no row"]
    answers = [{"report": {"known": [{"unknown": 1}], "other": 1}, "text": text}]
    assert undefined(answers, docs) == (["unknown"], ["waiting"]), undefined(answers, docs)


def main(golden, docs):
    answers = []
    for path in sorted(glob.glob(os.path.join(golden, "*.json"))):
        with open(path, encoding="utf-8") as file:
            answers += [answer for case in json.load(file).values() for answer in case]
    pages = []
    for path in sorted(glob.glob(os.path.join(docs, "*.md"))):
        with open(path, encoding="utf-8") as file:
            pages.append(file.read())
    if not answers or not pages:
        sys.exit("there is nothing to check")
    keys, rows = undefined(answers, "\n".join(pages))
    for key in keys:
        print(f'key "{key}" of a report is defined on no page')
    for row in rows:
        print(f'row "{row}" of a report begins no row of a table in the docs')
    sys.exit(1 if keys or rows else 0)


if __name__ == "__main__":
    if sys.argv[1:] == ["--self-test"]:
        self_test()
    else:
        main(*sys.argv[1:])
