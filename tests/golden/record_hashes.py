# SPDX-License-Identifier: Apache-2.0
"""Writes the tables of golden hashes again: record_hashes.py GOLDEN-TEST...

Each golden test prints its tables when it is asked to (golden_table.hpp); each takes the place of the one
that its test case has in the sources beside this script.
"""
import glob
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = r"  golden\.expect\(\{.*?\}\);\n"


def printed_tables(test):
    """The tables by test case."""
    done = subprocess.run([test], env={**os.environ, "OMNIBAL_PRINT_GOLDEN": "1"}, text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    return dict(re.findall(rf"^// ([^\n]*)\n({TABLE})", done.stderr, re.MULTILINE | re.DOTALL))


def write_tables(path, tables):
    with open(path, encoding="utf-8") as file:
        cases = re.split(r'^(?=TEST_CASE\(")', file.read(), flags=re.MULTILINE)
    for k, text in enumerate(cases[1:], 1):
        table = tables.pop(re.match(r'TEST_CASE\("([^"]*)"', text)[1])
        cases[k] = re.sub(TABLE, lambda _, table=table: table, text, count=1, flags=re.DOTALL)
    with open(path, "w", encoding="utf-8") as file:
        file.write("".join(cases))


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__.splitlines()[0])
    tables = {}
    for test in sys.argv[1:]:
        tables.update(printed_tables(test))
    for path in sorted(glob.glob(os.path.join(HERE, "*_golden_test.cpp"))):
        write_tables(path, tables)
    if tables:
        sys.exit(f"no test case in the sources is called {', '.join(tables)}")


if __name__ == "__main__":
    main()
