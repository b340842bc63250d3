# SPDX-License-Identifier: Apache-2.0
"""Length tables: every format, and everything that can be wrong with each."""
import json
import struct

from command import CommandTest, main, samples

ROWS = [(1, 358), (5, 1341), (0, 77), (3, 2**40), (5, 0)]
CAPACITY = ["--capacity", "images=9,tokens=4096"]


def npy(rows, kind="<i8", version=1, column_major=False, shape=None, header=None):
    """The bytes of a NumPy file."""
    code = {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q",
            "f4": "f", "f8": "d"}[kind[1:]]
    shape = shape or f"({len(rows)}, {len(rows[0])})"
    header = header or f"{{'descr': '{kind}', 'fortran_order': {column_major}, 'shape': {shape}, }}"
    preamble = b"\x93NUMPY" + bytes([version, 0])
    length = "<H" if version == 1 else "<I"
    size = len(preamble) + struct.calcsize(length)
    header = (header + " " * (63 - (size + len(header)) % 64) + "\n").encode()
    values = [value for row in (zip(*rows) if column_major else rows) for value in row]
    order = ">" if kind[0] == ">" else "<"
    return (preamble + struct.pack(length, len(header)) + header
            + struct.pack(f"{order}{len(values)}{code}", *values))


class Tables(CommandTest):
    def what_is_read(self, *files, resources=()):
        """The bytes of a table drawn from what is read: the same for the same samples."""
        out = self.path("drawn.csv")
        merged = []
        for name in files:
            self.succeed("generate", "--like", name, "--samples", 200, "--out", out,
                         *(word for pair in resources for word in ("--resource", pair)))
            merged.append(self.read("drawn.csv").split(b"\n", 1)[1])
        return merged

    def assert_reads(self, name, rows, **options):
        expected = self.write("expected.json", samples(*rows))
        self.assertEqual(self.what_is_read(name, **options), self.what_is_read(expected), name)

    def test_json_in_every_layout(self):
        table = samples(*ROWS)
        self.assert_reads(self.write("pretty.json", json.dumps(table, indent=4)), ROWS)
        self.assert_reads(self.write("compact.json", json.dumps(table, separators=(",", ":"))), ROWS)
        mixed = [dict(reversed(row.items())) if i % 2 else row for i, row in enumerate(table)]
        self.assert_reads(self.write("mixed.json", mixed), ROWS)
        more = [{"id": f"a\"{{[{i}", "extra": {"deep": [None, 1.5]}, **row} for i, row in enumerate(table)]
        self.assert_reads(self.write("more.json", more), ROWS)
        self.assert_reads(self.write("mark.json", b"\xef\xbb\xbf" + json.dumps(table).encode()), ROWS)

    def test_json_lines(self):
        lines = [json.dumps(row) for row in samples(*ROWS)]
        self.assert_reads(self.write("a.jsonl", "\n".join(lines)), ROWS)
        self.assert_reads(self.write("b.jsonl", "\n".join(lines) + "\n"), ROWS)
        self.assert_reads(self.write("c.jsonl", "\r\n\r\n".join(lines) + "\r\n"), ROWS)
        self.assert_reads(self.write("d.ndjson", "\n \n" + "\n".join(lines)), ROWS)

    def test_csv(self):
        lines = [f"{images},{tokens}" for images, tokens in ROWS]
        self.assert_reads(self.write("a.csv", "\n".join(["vit_num,token_num", *lines])), ROWS)
        self.assert_reads(self.write("b.csv", "\r\n".join(["vit_num,token_num", *lines, ""])), ROWS)
        quoted = [f'"a ""b"",\n{i}",{tokens},"{images}"' for i, (images, tokens) in enumerate(ROWS)]
        self.assert_reads(self.write("c.csv", "\n".join(["id,token_num,vit_num", *quoted, ""])), ROWS)
        self.assert_reads(self.write("d.csv", "\ufeffvit_num,token_num\n" + "\n".join(lines)), ROWS)

    def test_numpy_in_every_integer_type_order_and_version(self):
        small = [(1, 35), (5, 120), (0, 77)]
        for kind in ["|i1", "|u1", *(order + sign + size for order in "<>" for sign in "iu" for size in "248")]:
            for column_major in (False, True):
                for version in (1, 2, 3):
                    content = npy(small, kind, version, column_major)
                    self.assert_reads(self.write("a.npy", content), small)
        self.assert_reads(self.write("b.npy", npy(ROWS)), ROWS)

    def test_numpy_columns(self):
        wide = [(9, tokens, images) for images, tokens in ROWS]
        name = self.write("a.npy", npy(wide))
        self.assert_reads(name, ROWS, resources=["images=2", "tokens=1"])
        flat = self.write("b.npy", npy([(tokens,) for _, tokens in ROWS], shape=f"({len(ROWS)},)"))
        one = self.write("b.csv", "\n".join(["tokens", *(str(tokens) for _, tokens in ROWS)]))
        self.assertEqual(self.what_is_read(flat, resources=["tokens=0"]),
                         self.what_is_read(one, resources=["tokens=tokens"]))

    def test_format_is_guessed_where_the_name_does_not_say(self):
        table = samples(*ROWS)
        self.assert_reads(self.write("a.txt", json.dumps(table, indent=1)), ROWS)
        self.assert_reads(self.write("b", "\n".join(map(json.dumps, table))), ROWS)
        self.assert_reads(self.write("c.data", npy(ROWS)), ROWS)
        self.assert_reads(self.write("d.txt", "vit_num,token_num\n" + "\n".join(f"{a},{b}" for a, b in ROWS)), ROWS)

    def test_files_are_concatenated_in_order(self):
        first = self.write("a.json", samples((1, 5000), (1, 1)))
        second = self.write("b.csv", "vit_num,token_num\n1,1\n99,1\n")
        for order, oversize in (([first, second], [0, 3]), ([second, first], [1, 2])):
            report = self.succeed("pack", "--lengths", *order, *CAPACITY, "--oversize", "skip", "--out", "p.json")
            self.assertEqual(report["oversize"], oversize)
            inputs = json.loads(self.read("p.json"))["inputs"]
            self.assertEqual([entry["name"] for entry in inputs], order)
            self.assertEqual([entry["samples"] for entry in inputs], [2, 2])
        again = self.succeed("pack", "--lengths", first, "--lengths", second, *CAPACITY, "--oversize", "skip")
        self.assertEqual(again["oversize"], [0, 3])

    def test_resources(self):
        table = self.write("a.json", [{"frames": 3, "words": 50, "tiles": 2}] * 4)
        report = self.succeed("pack", "--lengths", table, "--resource", "audio=frames", "--resource", "text=words",
                              "--resource", "images=tiles", "--capacity", "text=100,images=9,audio=7")
        self.assertEqual(report["packs"], 2)
        self.assertEqual(list(report["fill"]), ["audio", "text", "images"])
        report = self.succeed("pack", "--lengths", table, "--resource", "text=words", "--capacity", "text=150")
        self.assertEqual(report["packs"], 2)


class BrokenTables(CommandTest):
    def refuse(self, name, content, naming, *more):
        self.expect_failure("pack", "--lengths", self.write(name, content), *CAPACITY, "--out", "p.json", *more,
                  naming=[name, *([naming] if isinstance(naming, str) else naming)])

    def test_files(self):
        self.expect_failure("pack", "--lengths", "none.json", *CAPACITY, naming=["--lengths = none.json", "No such file"])
        self.expect_failure("pack", "--lengths", ".", *CAPACITY, naming=["--lengths = .", "Is a directory"])
        for name in ("a.json", "a.jsonl", "a.csv", "a.npy"):
            self.refuse(name, "", "is empty")
        self.refuse("a.json", "[]", "holds no samples")
        self.refuse("a.jsonl", "\n\n", "holds no samples")
        self.refuse("a.csv", "vit_num,token_num\n", "holds no samples")
        self.refuse("a.npy", npy([], shape="(0, 2)"), "holds no samples")

    def test_json(self):
        self.refuse("a.json", '[{"vit_num":1,"token_', ["a.json:1: record[0]", "is not JSON"])
        self.refuse("a.json", '[{"vit_num":1,"token_num":5}', "is not JSON")
        self.refuse("a.json", '[\n{"vit_num":1,"token_num":-5}]', "a.json:2: token_num[0] = -5: must not be negative")
        self.refuse("a.json", '[{"vit_num":1,"token_num":5.0}]', "token_num[0] = 5.0: must be an integer")
        self.refuse("a.json", '[{"vit_num":1,"token_num":9223372036854775808}]', "9223372036854775808")
        self.refuse("a.json", '[{"vit_num":1,"token_num":"5"}]', "must hold an integer as token_num")
        self.refuse("a.json", '[{"vit_num":1,"token_num":null}]', "must hold an integer as token_num")
        self.refuse("a.json", '[{"vit_num":1,"token_num":{"a":5}}]', "must hold an integer as token_num")
        self.refuse("a.json", '[{"vit_num":1,"token_num":NaN}]', "is not JSON")
        self.refuse("a.json", '[{"vit_num":1,"token_num":007}]', "is not JSON")
        self.refuse("a.json", '[{"vit_num":1}]', ["record[0]", "lacks token_num"])
        self.refuse("a.json", '[{"vit_num":1,"token_num":2,"vit_num":1}]', "gives vit_num twice")
        self.refuse("a.json", '[{"vit_num":1,"token_num":5}] [', ["record[1]", "is not JSON"])
        self.refuse("a.json", '[{"vit_num":1,"token_num":5},]', "record[1]")
        self.refuse("a.json", '{"vit_num":1,"token_num":5}', "must be a list of objects")
        self.refuse("a.json", '[[1,5]]', ["record[0]", "must be an object"])
        self.refuse("a.json", '[[{"vit_num":1,"token_num":5}]]', "must be an object")
        self.refuse("a.json", b'[{"vit_num":1,"token_num":5,"a":"\xff"}]', "is not JSON")

    def test_the_record_far_into_a_uniform_table(self):
        good = '{"vit_num":1,"token_num":300},\n' * 1000
        self.refuse("a.json", f'[{good}{{"vit_num":1,"token_num":-7}}]', "a.json:1001: token_num[1000] = -7")

    def test_json_lines(self):
        good = '{"vit_num":1,"token_num":5}'
        self.refuse("a.jsonl", f'{good}\n\n{{"vit_num":1,"token_num":-5}}\n', "a.jsonl:3: token_num[1] = -5")
        self.refuse("a.jsonl", f'{good}\n{{"vit_num":1', ["a.jsonl:2: record[1]", "is not JSON"])
        self.refuse("a.jsonl", f"{good}{good}\n", "a.jsonl:1: record[1]")
        self.refuse("a.jsonl", f"[{good}]\n", "must be an object")
        self.refuse("a.jsonl", f"{good},\n{good}\n", "is not JSON")

    def test_csv(self):
        head = "vit_num,token_num\n"
        self.refuse("a.csv", head + "1,2\n3\n", ["a.csv:3: row[1] = 3", "2 fields"])
        self.refuse("a.csv", head + "1,2,3\n", ["a.csv:2: row[0] = 1,2,3", "2 fields"])
        self.refuse("a.csv", head + "1,2\n\n1,2\n", "a.csv:3: row[1]")
        self.refuse("a.csv", head + "1,-5\n", "a.csv:2: token_num[0] = -5: must not be negative")
        for value in ("", " 5", "5.0", "1e3", "x", "0x10", "9223372036854775808"):
            self.refuse("a.csv", head + f"1,{value}\n", "a.csv:2: token_num[0]")
        self.refuse("a.csv", "vit_num,tokens\n1,2\n", ["a.csv:1: heading", "lacks token_num"])
        self.refuse("a.csv", "vit_num,token_num,vit_num\n1,2,3\n", "names vit_num twice")
        self.refuse("a.csv", head + '"1,2\n', "a.csv:2: quoted field")
        self.refuse("a.csv", head + '"1"x,2\n', "a.csv:2: field[0]")
        self.refuse("a.csv", head + '1,"a\nb"\n1,2\n', "a.csv:2: token_num[0]")

    def test_numpy(self):
        self.refuse("a.npy", b"\x93NUMPZ" + npy([(1, 5)])[6:], "not that of a NumPy file")
        self.refuse("a.npy", b"\x93NUM", "not that of a NumPy file")
        self.refuse("a.npy", npy([(1, 5)], version=1).replace(b"NUMPY\x01", b"NUMPY\x09"), "version = 9")
        self.refuse("a.npy", npy([(1, 5)])[:-1], "data = 15 bytes")
        self.refuse("a.npy", npy([(1, 5)]) + b"\0", "data = 17 bytes")
        self.refuse("a.npy", npy([(1, 5)])[:40], "header length")
        for kind in ("<f8", "<f4"):
            self.refuse("a.npy", npy([(1, 5)], kind), ["item type", kind])
        self.refuse("a.npy", npy([(1, 5)], header="{'descr': [('a', '<i8')], 'fortran_order': False, 'shape': (1,)}"),
                    "item type")
        self.refuse("a.npy", npy([(1, 5)], header="{'descr': '<i8', 'fortran_order': False}"), "lacks 'shape':")
        self.refuse("a.npy", npy([(1, -5)]), "a.npy: tokens[0] = -5: must not be negative")
        self.refuse("a.npy", npy([(1, -5)], ">i2"), "tokens[0] = -5")
        self.refuse("a.npy", npy([(1, 2**63)], "<u8"), "tokens[0] = 9223372036854775808")
        self.refuse("a.npy", npy([(1, 5, 7)]), "columns = 3")
        self.refuse("a.npy", npy([(1, 5)], shape="(1, 2, 1)"), "shape")
        self.refuse("a.npy", npy([(1, 5)], shape="()"), "shape")
        self.refuse("a.npy", npy([(1, 5)], shape="(4611686018427387904, 8)"), "far more")

    def test_resources(self):
        table = self.write("a.json", samples((1, 5)))
        refuse = lambda text, naming: self.expect_failure(
            "pack", "--lengths", table, *CAPACITY, *(word for pair in text for word in ("--resource", pair)), naming=naming)
        refuse(["tokens"], ["--resource = tokens", "NAME=COLUMN"])
        refuse(["=a"], "NAME=COLUMN")
        refuse(["a="], "NAME=COLUMN")
        refuse(["a=x", "a=y"], "repeats a=x")
        refuse(["a=x", "b=x"], "repeats a=x")
        refuse(["a=1", "b=2", "c=3", "d=4"], "d=4")
        self.expect_failure("pack", "--lengths", table, *CAPACITY, "--resource", "tokens=token_num", naming=["--capacity", "images"])
        self.expect_failure("pack", "--lengths", self.write("a.npy", npy([(1, 5)])), "--resource", "t=2", "--capacity", "t=9",
                  naming=["a.npy", "columns = 2"])


if __name__ == "__main__":
    main()
